"""Train spiking neural networks on any OpenCL device.

    import spikeport
    network = spikeport.train("synthetic_tiny", "runs/tiny")
    logits = network.forward(x)            # x: float32 (N, C, H, W)

`spikeport.torch.SNN` is the same as a module of PyTorch.
"""

from ._library import (ConfigError, DataError, DeviceError, Error, NumericError, UsageError, __version__)
from ._network import (Context, Device, Evaluation, Network, Progress, Recording, Step, devices, print_progress, train)

__all__ = ["ConfigError", "Context", "DataError", "Device", "DeviceError", "Error", "Evaluation", "Network",
           "NumericError", "Progress", "Recording", "Step", "UsageError", "__version__", "devices", "print_progress",
           "train"]
