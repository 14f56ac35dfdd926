"""The nets of scripts, with weights in memcap's order: kernel, recurrent weights and
bias of each layer, then kernel and bias of the read-out."""

import importlib.util

import jax
import numpy as np
import pytest
from flax import nnx

from memcap.scripts import script

RNG = np.random.default_rng(0)


def run(member, framework, folder, **arrays):
    """Run a script as a module, beside a file of these arrays. Return its names."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    np.savez(folder / "net.npz", **arrays)
    names = {"__name__": "net", "__file__": str(folder / "net.py")}
    exec(script(member, framework), names)
    return names


class FlaxNet:
    def __init__(self, names):
        self.net = names["Net"](RNG, nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.net, names["OPTIMIZER"], wrt=nnx.Param)

    def parameters(self, net):
        for layer in net.layers:
            dense = layer.cell.dense_i, layer.cell.dense_h
            yield from (part.kernel for part in dense)
            yield next(part.bias for part in dense if part.bias is not None)
        yield from (net.readout.kernel, net.readout.bias)

    def weights(self):
        return [np.asarray(weights[...]) for weights in self.parameters(self.net)]

    def outputs(self, inputs):
        return self.net(inputs)

    def step(self, gradients, rate):
        copy = nnx.clone(self.net)
        for parameter, gradient in zip(self.parameters(copy), gradients, strict=True):
            parameter[...] = gradient
        self.optimizer.update(self.net, nnx.state(copy, nnx.Param), rate=rate)

    def gradient_of_last(self, inputs):
        return nnx.grad(lambda array, net: net(array)[:, -1].sum())(inputs, self.net)


class KerasNet:
    def __init__(self, names):
        self.net = names["build"](RNG)
        self.net.optimizer.build(self.net.trainable_variables)

    def weights(self):
        return [self.in_order(weights) for weights in self.net.trainable_variables]

    def in_order(self, weights):
        """Return an array, of a GRU with its gates r, z, n, which are z, r, n in Keras."""
        array = np.asarray(weights.value)
        if "gru" not in weights.path:
            return array
        update, reset, candidate = np.split(array, 3, -1)
        array = np.concatenate([reset, update, candidate], -1)
        return array[0] if weights.name == "bias" else array

    def outputs(self, inputs):
        return np.asarray(self.net(inputs))

    def step(self, gradients, rate):
        self.net.optimizer.learning_rate = rate
        self.net.optimizer.apply(gradients, self.net.trainable_variables)

    def gradient_of_last(self, inputs):
        return jax.grad(lambda array: self.net(array)[:, -1].sum())(inputs)


class TorchNet:
    def __init__(self, names):
        self.torch = names["torch"]
        self.clip = names["clip"]
        self.net = names["Net"]()
        self.optimizer = names["optimizer_of"](self.net)

    def parameters(self):
        return [weights for weights in self.net.parameters() if weights.requires_grad]

    def weights(self):
        return [weights.detach().numpy().T.copy() for weights in self.parameters()]

    def outputs(self, inputs):
        return self.net(self.torch.from_numpy(inputs)).detach().numpy()

    def step(self, gradients, rate):
        for weights, gradient in zip(self.parameters(), gradients, strict=True):
            weights.grad = self.torch.from_numpy(gradient.T.copy())
        self.clip(self.net)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()

    def gradient_of_last(self, inputs):
        array = self.torch.from_numpy(inputs).requires_grad_()
        last = self.net(array)[:, -1].sum()
        return self.torch.autograd.grad(last, array)[0].numpy()


NETS = {"flax": FlaxNet, "keras": KerasNet, "torch": TorchNet}
