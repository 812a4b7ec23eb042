"""The actor's processes: the policy loss."""
