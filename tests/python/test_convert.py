"""spikeport.torch.convert beside the networks that it converts: outputs, spikes, and the gradients of BPTT. Parts are skipped where
snntorch or spikingjelly are missing."""

import contextlib
import importlib.util
import io
import unittest

import torch
from torch import nn

import spikeport
from spikeport.torch import convert

CONTEXT = spikeport.Context()
T, N = 5, 8


def needs(package):
    return unittest.skipUnless(importlib.util.find_spec(package), f"{package} is not installed")


class Base(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)

    def convert(self, module, shape, **options):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            network = convert(module, shape, T, context=CONTEXT, batch=N, **options)
        self.addCleanup(network.network.close)
        self.assertEqual(out.getvalue().strip(), network.difference)
        return network

    def expect_same(self, module, shape, reset, sequence=False):
        """Spikes to the last one, outputs and the gradients of BPTT to rounding."""
        module.eval()
        network = self.convert(module, shape, method="bptt", sequence=sequence, steps=True)
        self.assertIn("; 0 spikes differ of ", network.difference)
        x = torch.rand(*([T] if sequence else []), N, *shape) * 2
        weight = torch.randn(T, N, network.network.outputs)
        frames = x if sequence else x.expand(T, *x.shape)
        module.train(), network.train(), reset(module), module.zero_grad()
        outs = [module(frame) for frame in frames]
        theirs = torch.stack([o[0] if isinstance(o, tuple) else o for o in outs])
        ours = network(x.reshape(network.network.input_shape(N)))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        (theirs.tanh() * weight).sum().backward()
        (ours.tanh() * weight).sum().backward()
        wanted = [p.grad for p in module.parameters()]
        self.assertEqual(len(wanted), len(list(network.parameters())))
        for (name, p), g in zip(network.named_parameters(), wanted):
            scale = max(g.abs().max().item(), 1e-3)
            self.assertLess((p.grad - g.reshape(p.shape)).abs().max().item(), 1e-3 * scale, name)

    def expect_refused(self, module, what, shape=(4,), **options):
        with self.assertRaisesRegex(spikeport.ConfigError, what):
            convert(module, shape, T, context=CONTEXT, **options)


class Layers(Base):
    def test_refused_by_name(self):
        for layer, what in ((nn.Conv2d(4, 4, 3, padding_mode="reflect"),
                             r'module "0" \(Conv2d\): padding_mode=\'reflect\''),
                            (nn.BatchNorm2d(4, affine=False), "affine=False"),
                            (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode"),
                            (nn.AvgPool2d(3, padding=1, count_include_pad=False), "count_include_pad"),
                            (nn.Linear(8, 2), "last axis of a picture"), (nn.Dropout(1.0), "p=1 drops everything"),
                            (nn.GELU(), r'"0" \(GELU\): it is neither')):
            self.expect_refused(nn.Sequential(layer), what, (4, 8, 8))
        self.expect_refused(nn.Sequential(nn.Sequential(nn.Identity(), nn.Conv1d(1, 1, 1))), r'module "0.1" \(Conv1d\)')
        self.expect_refused(nn.Sequential(nn.Identity()), "no module to convert")

    def test_what_a_sequence_does_not_show(self):
        """Places, hooks, own forward functions, shared and frozen parameters."""
        pool, line = nn.MaxPool2d(2), nn.Linear(4, 4)
        network = self.convert(nn.Sequential(pool, nn.Conv2d(1, 2, 1), pool, nn.Flatten(), nn.Linear(8, 3)), (1, 8, 8))
        self.assertIn("; 0 spikes differ", network.difference)
        self.assertRegex(network.difference, r"at most (0|[0-9.]+e-0[6-9]) of")

        class Doubled(nn.Sequential):
            def forward(self, x):
                return 2 * super().forward(x)
        self.expect_refused(nn.Sequential(Doubled(nn.Linear(4, 4))), r'"0" \(Doubled\): it has a forward\(\)')
        self.expect_refused(nn.Sequential(line, nn.Linear(4, 4), line), 'module "2" .*shares a parameter .*"0"')
        tied = nn.Linear(4, 4)
        tied.weight = line.weight
        self.expect_refused(nn.Sequential(line, tied), 'module "1" .*shares')
        hooked = nn.Linear(4, 4)
        hooked.register_forward_hook(lambda m, i, o: 2 * o)
        self.expect_refused(nn.Sequential(hooked), 'module "0" .*forward hook')
        self.expect_refused(nn.Sequential(nn.Linear(4, 4).double()), "weight is torch.float64")
        frozen = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        frozen[0].weight.requires_grad_(False)
        network = self.convert(frozen, (4,))
        self.assertEqual([n for n, p in network.named_parameters() if not p.requires_grad], ["0.weight"])

    def test_layers_without_neurons(self):
        module = nn.Sequential(nn.Conv2d(2, 6, (3, 5), stride=2, padding="valid", dilation=(2, 1)), nn.BatchNorm2d(6),
                               nn.Dropout(0.3), nn.Dropout2d(0.2), nn.AvgPool2d(2), nn.Sequential(nn.Conv2d(6, 4, 3, padding="same", groups=2, bias=False),
                                                                               nn.AdaptiveAvgPool2d(2)),
                               nn.Flatten(), nn.Linear(16, 3)).eval()
        for m in module.modules():
            if isinstance(m, nn.BatchNorm2d):
                nn.init.uniform_(m.running_mean), nn.init.uniform_(m.running_var, 0.5, 2)
        network = self.convert(module, (2, 20, 20)).eval()
        x = torch.rand(N, 2, 20, 20)
        torch.testing.assert_close(network(x) / T, module(x), rtol=1e-4, atol=1e-4)


@needs("spikingjelly")
class SpikingJelly(Base):
    def test_neurons_and_surrogates(self):
        from spikingjelly.activation_based import functional, neuron, surrogate
        for node in (neuron.LIFNode(2.0, decay_input=True, v_reset=None, surrogate_function=surrogate.ATan(3.0)),
                     neuron.LIFNode(1.5, decay_input=False, v_reset=-0.25, surrogate_function=surrogate.Sigmoid(),
                                    detach_reset=True),
                     neuron.IFNode(0.5, v_reset=0.0, surrogate_function=surrogate.PiecewiseQuadratic(0.5)),
                     neuron.IFNode(v_reset=None, surrogate_function=surrogate.PiecewiseExp(2.0), detach_reset=True),
                     neuron.LIFNode(3.0, surrogate_function=surrogate.Rect(0.5)),
                     neuron.LIFNode(3.0, surrogate_function=surrogate.SoftSign(2.0)),
                     neuron.LIFNode(3.0, surrogate_function=surrogate.Erf(1.0)),
                     neuron.ParametricLIFNode(2.5, v_reset=None, surrogate_function=surrogate.ATan())):
            for sequence in (False, True):
                with self.subTest(str(node), sequence=sequence):
                    module = nn.Sequential(nn.Linear(6, 20), node, nn.Linear(20, 3))
                    self.expect_same(module, (6,), functional.reset_net, sequence)

    def test_convolutions_in_both_step_modes(self):
        from spikingjelly.activation_based import functional, layer, neuron, surrogate
        module = nn.Sequential(layer.Conv2d(2, 8, 3, padding=1, bias=False), layer.BatchNorm2d(8),
                               neuron.LIFNode(surrogate_function=surrogate.ATan()), layer.MaxPool2d(2),
                               layer.Conv2d(8, 6, 3), neuron.IFNode(), layer.AvgPool2d(2), layer.Flatten(),
                               layer.Linear(6, 4), neuron.LIFNode(v_threshold=0.2, v_reset=None))
        self.expect_same(module, (2, 8, 8), functional.reset_net)
        functional.set_step_mode(module, "m")
        self.expect_refused(module, "statistics in training are those of all time steps", (2, 8, 8))
        without = nn.Sequential(*[m for m in module if not isinstance(m, nn.BatchNorm2d)])
        self.assertIn("; 0 spikes differ", self.convert(without, (2, 8, 8)).difference)

    def test_refused_by_name(self):
        from spikingjelly.activation_based import neuron, surrogate
        self.expect_refused(nn.Sequential(neuron.LIFNode(surrogate_function=surrogate.SoftSign(3.0))), "alpha=2 only")
        self.expect_refused(nn.Sequential(neuron.LIFNode(surrogate_function=surrogate.S2NN())), "no surrogate S2NN")
        own = type("ATan", (surrogate.ATan,), {"__module__": "mine"})
        self.expect_refused(nn.Sequential(neuron.LIFNode(surrogate_function=own())), "no surrogate ATan")
        self.expect_refused(nn.Sequential(neuron.QIFNode()), r'"0" \(QIFNode\)')


@needs("snntorch")
class SnnTorch(Base):
    @staticmethod
    def reset(module):
        for m in module.modules():
            if hasattr(m, "reset_mem"):
                m.reset_mem()

    def test_neurons_and_surrogates(self):
        import snntorch
        from snntorch import surrogate
        for settings in ({"beta": 0.6}, {"beta": 0.9, "threshold": 0.5, "spike_grad": surrogate.fast_sigmoid(10)},
                         {"beta": 1.0, "spike_grad": surrogate.sigmoid(5)}, {"beta": 0.5, "reset_mechanism": "zero"},
                         {"beta": 0.0, "reset_mechanism": "zero", "spike_grad": surrogate.straight_through_estimator()},
                         {"beta": 0.7, "reset_mechanism": "zero", "reset_delay": False}):
            with self.subTest(str(settings)):
                module = nn.Sequential(nn.Linear(6, 20), snntorch.Leaky(init_hidden=True, **settings), nn.Linear(20, 8),
                                       snntorch.Leaky(init_hidden=True, output=True, **settings))
                self.expect_same(module, (6,), self.reset)

    def test_spikes_at_the_threshold(self):
        import snntorch
        module = nn.Sequential(nn.Linear(1, 2, bias=False), snntorch.Leaky(beta=0.5, init_hidden=True))
        nn.init.constant_(module[0].weight, 1)
        network = self.convert(module, (1,), check=torch.tensor([[1.0], [0.5], [2.0]]))
        self.assertIn("; 0 spikes differ of ", network.difference)
        self.assertIn("on 3 samples: ", network.difference)

    def test_refused_by_name(self):
        import snntorch
        from snntorch import surrogate
        for settings, what in (({"beta": 0.5, "learn_beta": True}, "learn_beta=True"),
                               ({"beta": torch.tensor([0.5, 0.6])}, "differs from neuron to neuron"),
                               ({"beta": 0.5, "reset_mechanism": "none"}, 'reset_mechanism="none"'),
                               ({"beta": 0.5, "reset_delay": False}, "reset_delay=False"),
                               ({"beta": 0.0}, "beta=0"), ({"beta": 0.5, "graded_spikes_factor": 2.0}, "graded"),
                               ({"beta": 0.5, "spike_grad": surrogate.triangular()}, "no surrogate triangular")):
            self.expect_refused(nn.Sequential(snntorch.Leaky(init_hidden=True, **settings)), what)
        self.expect_refused(nn.Sequential(snntorch.Synaptic(0.9, 0.8, init_hidden=True)), r'\(Synaptic\)')


if __name__ == "__main__":
    unittest.main()
