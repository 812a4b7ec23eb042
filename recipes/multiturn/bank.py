"""The tools of the multi-turn recipe's toy task: one account, whose state the verifier `state` compares."""


class Bank:
    """Public methods are the tools; public attributes are the state."""

    def __init__(self, balance: int = 0) -> None:
        self.balance = balance

    def deposit(self, amount: int) -> dict:
        self.balance += _whole(amount)
        return {"balance": self.balance}

    def withdraw(self, amount: int) -> dict:
        if _whole(amount) > self.balance:
            raise ValueError(f"the balance is only {self.balance}")
        self.balance -= amount
        return {"balance": self.balance}


def _whole(amount: int) -> int:
    if type(amount) is not int or amount <= 0:
        raise ValueError("amount must be a whole number above 0")
    return amount
