"""Thirty invented days of a small machine-learning company, seen by the real agent.

The company is invented; what looks at it is not: the account is an emulated one behind the real AWS
library, the models are really trained into a real MLflow store, and every finding comes from the
collectors, checks and ledger of the product. `story` tells what happens, `simulate` lets it happen.
"""
