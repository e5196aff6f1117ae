"""Torch's operators on recorded numpy tensors: ``machine.Ops`` runs them, the other modules hold one family each."""
