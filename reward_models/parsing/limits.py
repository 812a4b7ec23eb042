"""How much of a response is read. What is beyond a limit is UNPARSEABLE, whatever it holds."""

MAX_CHARS = 64 * 1024
MAX_DEPTH = 64  # nesting of one JSON value or Python argument list
MAX_CALLS = 256
MAX_NUMBER_CHARS = 1000  # far from the digits from which on Python refuses to print an integer
MAX_CONTAINERS = 4096  # lists and objects of one JSON value
MAX_VALUES = 1024  # gemma: about 5 us each
MAX_TOKENS = 2048  # python: about 2 us each, which is a hundred times what JSON costs
