"""Rules that turn with what people keep, not with the account."""

CANNOT_TURN = dict.fromkeys(
    (
        "access-review-actions-done",
        "config-drift-explained",
        "disposal-verified",
        "output-safeguard-listed",
        "restore-test-fresh",
    ),
    "turns with a register, which nobody keeps here",
)
