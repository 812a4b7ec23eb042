"""Stateful tools for the tests of the mode `state`, one in BFCL's manner and one made by its constructor."""

import os


class Folders:
    """A tree of folders: BFCL's way of loading, cyclic references, a private attribute."""

    made = 0  # shared by all instances, as badly written tools do

    def __init__(self):
        self.root = Node("root", None)
        self._current = self.root

    def _load_scenario(self, config, long_context=False):
        for name in config.get("folders", []):
            self.root.children[name] = Node(name, self.root)
        self.long_context = long_context

    def cd(self, name):
        self._current = self._current.parent if name == ".." else self._current.children[name]
        return {"at": self._current.name}

    def mkdir(self, name):
        type(self).made += 1
        self._current.children[name] = Node(name, self._current)
        return {"made": type(self).made}

    def ls(self):
        return sorted(self._current.children)

    def _secret(self):
        self.root.children.clear()


class Node:
    def __init__(self, name, parent):
        self.name = name
        self.parent = parent
        self.children = {}


class Account:
    def __init__(self, balance=0.0, owner=""):
        self.balance = balance
        self.owner = owner

    def pay(self, amount):
        if amount > self.balance:
            raise ValueError("not enough")
        self.balance -= amount
        return {"balance": self.balance}

    def get_balance(self):
        return self.balance

    def spin(self):
        while True:
            pass

    def environment(self):
        return dict(os.environ)

    def keep(self, value, levels=0):
        for _ in range(levels):
            value = [value]
        self.kept = value

    def lose(self):
        self.kept = float("nan")
