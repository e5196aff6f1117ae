"""Criteria of the weights alone, without data: magnitude."""

from .context import scored, sums


def magnitude(context):
    """Sum of the absolute weights and biases that make a unit (Li et al., "Pruning Filters for Efficient ConvNets", 2017)."""
    sizes = {name: tensor.detach().abs() for name, tensor in context.tensors.items() if tensor.is_floating_point()}
    return scored(context, lambda group: sums(group, sizes, ("out",)))
