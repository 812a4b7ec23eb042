"""Tools for docs/examples/show_verifiers.py: a function for the verifier `exec`, a class for `state`."""

__all__ = ["get_weather"]

_TEMPERATURES = {"paris": 18.0, "rome": 24.0}


def get_weather(city: str, unit: str = "celsius") -> dict[str, float | str]:
    celsius = _TEMPERATURES[city.strip().lower()]
    return {"city": city.strip().lower(), "temperature": celsius if unit == "celsius" else celsius * 9 / 5 + 32}


class Thermostat:
    """Stateful: the verifier `state` compares `target` after each turn."""

    def __init__(self, target: float = 20.0):
        self.target = target

    def set_target(self, degrees: float) -> dict[str, float]:
        self.target = degrees
        return {"target": self.target}
