"""The log: what happened, in an order that an outsider can check.

`services.record` writes entries inside the transaction of what they tell. The `sequencer` gives
them their places in a Merkle tree, `checkpoints` sign it, `anchoring` brings it to others. `export`
makes bundles for `verifier`, which stands alone; `selectors` and `search` are what doors read.
`deploy/docs/log-format.md` says what every byte means.
"""
