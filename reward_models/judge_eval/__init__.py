"""How good is a judge? Measures on labelled rollouts, and the statistics behind them."""
