"""What stands in the configuration, and so is the same in both accounts."""

CANNOT_TURN = {"env-accounts-mapped": "turns with the configuration, not with the account"}
