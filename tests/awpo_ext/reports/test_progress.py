"""How far a run is and how long it will take, from its console."""

from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.reports.progress import Progress, duration

BAR = "(TaskRunnerV1 pid=1) Training Progress:   8%|\u258a         | {}/{} [00:30<05:30, 30.0s/it]"


def step(number, seconds=60.0, **more):
    numbers = {"awpo/outcome/mean": 1.0, "timing_s/step": seconds, **more}
    return f"step:{number} - " + " - ".join(f"{key}:{value}" for key, value in numbers.items())


def lines(progress, *console):
    return [short for line in console if (short := progress.line(line))]


def test_a_run_from_its_start():
    told = lines(Progress(), BAR.format(0, 12), step(1), BAR.format(1, 12), step(2, 30.0), step(12, 30.0))
    assert told == [
        "step 1 of 12 (60 s a step, 11 min 00 s left): outcome 1.000, seconds 60.000",
        "step 2 of 12 (45 s a step, 7 min 30 s left): outcome 1.000, seconds 30.000",
        "step 12 of 12: outcome 1.000, seconds 30.000",
    ]


def test_a_resumed_run_counts_what_is_left_of_the_whole():
    (told,) = lines(Progress(), BAR.format(80, 100), step(81, 10.0))
    assert told.startswith("step 81 of 100 (10 s a step, 3 min 10 s left)")


def test_without_a_bar_the_total_is_given_or_not_told():
    assert lines(Progress(3), step(1))[0].startswith("step 1 of 3 (60 s a step, 2 min 00 s left)")
    assert lines(Progress(), step(1))[0].startswith("step 1 (60 s a step): ")
    assert lines(Progress(3), step(4))[0].startswith("step 4 (60 s a step): "), "a total that is too low says nothing"


def test_validations_count_and_one_before_training_is_no_step():
    progress = Progress(11)
    before = progress.line("step:0 - val-core/x/reward/mean@1:1.5")
    assert before == "step 0: validation reward 1.500"
    assert "(60 s a step" in progress.line(step(1))
    assert "(110 s a step, 16 min 30 s left)" in progress.line(step(2, **{"timing_s/testing": 100.0}))


def test_one_slow_step_does_not_change_what_is_left():
    told = lines(Progress(10), *[step(number, 1000.0 if number == 3 else 10.0) for number in range(1, 6)])
    assert "(10 s a step, 50 s left)" in told[-1]


def test_alarms_are_shown_too():
    line = "\x1b[36m(TaskRunner pid=7)\x1b[0m awpo-ext: ALARM gap: the judge rises, since step 41\x1b[0m\n"
    assert Progress().line(line) == "ALARM gap: the judge rises, since step 41"
    assert Progress().line("ALARM gap: what a model wrote") is None


@given(st.text())
def test_any_other_line_is_passed_over(text):
    assert Progress().line(f"Training Progress: {text}") is None


def test_durations():
    told = {
        0.4: "0 s",
        59.6: "1 min 00 s",
        754: "12 min 34 s",
        3599.7: "1 h 0 min",
        4500: "1 h 15 min",
        200_000: "2 d 8 h",
    }
    assert {seconds: duration(seconds) for seconds in told} == told
