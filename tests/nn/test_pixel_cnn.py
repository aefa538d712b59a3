"""The gate of PixelCNN's layers."""

import torch

from plausible.nn.pixel_cnn import gate


def test_the_gate_is_tanh_times_sigmoid_and_so_are_its_gradients():
    torch.manual_seed(0)
    x = 3 * torch.randn(2, 6, 2, 3, dtype=torch.float64)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = x.contiguous(memory_format=layout).requires_grad_()
        a, b = x.chunk(2, 1)
        torch.testing.assert_close(gate(x), a.tanh() * b.sigmoid())
        assert torch.autograd.gradcheck(gate, x)
