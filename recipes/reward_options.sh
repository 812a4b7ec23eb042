# Sourced by the recipes: JUDGE, JUDGE_URL, JUDGE_MODEL, SCORER, NOISE_FLOOR, EMBEDDING_MODEL, VERIFIER, DIALECT, THINKING and
# DATA -> `reward`, verl's overrides for them.
reward_kwargs=reward.custom_reward_function.reward_kwargs
reward=(
    reward.custom_reward_function.path=pkg://reward_models.reward
    reward.custom_reward_function.name=compute_score
    "+$reward_kwargs.judge=$JUDGE"
    "+$reward_kwargs.verifier=$VERIFIER"
)
case "$JUDGE" in
    llm | llm_group)
        [[ -n ${JUDGE_URL:-} ]] || fail "JUDGE=$JUDGE needs JUDGE_URL, such as http://127.0.0.1:8000/v1"
        [[ $JUDGE_URL == verl || $JUDGE_URL =~ ^https?://[^/] ]] ||
            fail "JUDGE_URL=$JUDGE_URL: must start with http:// or https://, such as http://127.0.0.1:8000/v1"
        [[ -n ${JUDGE_MODEL:-} ]] || fail "JUDGE=$JUDGE needs JUDGE_MODEL, the name of the model at $JUDGE_URL"
        reward+=(
            "+$reward_kwargs.judge_kwargs.base_url=$JUDGE_URL"
            "+$reward_kwargs.judge_kwargs.model=$JUDGE_MODEL")
        if [[ $JUDGE == llm_group ]]; then # it ranks the rollouts of a prompt, so it has to know which are siblings
            reward+=(
                reward.reward_manager.source=importlib
                reward.reward_manager.name=GroupRewardManager
                reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward)
        fi ;;
    scorer)
        [[ -n ${SCORER:-} ]] || fail "JUDGE=scorer needs SCORER, a folder of 'awpo scorer train'"
        reward+=("+$reward_kwargs.judge_kwargs.scorer=$SCORER")
        # Hopeless thoughts all score near 0. Without a floor, 0.0002 against 0.0005 would push as hard as 0.2 against 0.8.
        reward+=("+algorithm.awpo.noise_floor=${NOISE_FLOOR:-0.05}") ;;
    embedding) # without a model: the one that a package carries, see the judge
        if [[ -n ${EMBEDDING_MODEL:-} ]]; then reward+=("+$reward_kwargs.judge_kwargs.model=$EMBEDDING_MODEL"); fi ;;
esac
# strict: the form of a call; no other counts. The data's manifest says for which form they are made.
DIALECT="${DIALECT:-$(of_manifest "${DATA:-}" dialect toolrl)}"
if [[ $VERIFIER == strict ]]; then reward+=("+$reward_kwargs.verifier_kwargs.dialect=$DIALECT"); fi
choice THINKING template template auto opened # a response without any tag of a thought; template: as the model's chat template says
if [[ $THINKING != template ]]; then reward+=("+$reward_kwargs.thinking=$THINKING"); fi
