"""The bundle: what the auditor receives, made from the ledger, and how it is verified."""
