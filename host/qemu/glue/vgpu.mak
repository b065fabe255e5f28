# The least that boots Linux on pc and q35, and the device.
CONFIG_I440FX=y
CONFIG_Q35=y
CONFIG_VGPU_STUB=y

# Buses to put it on.
CONFIG_PCIE_PORT=y
CONFIG_XIO3130=y

# What test guests use.
CONFIG_ISA_DEBUG=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
CONFIG_VIRTIO_SERIAL=y

# Peers to measure against.
CONFIG_TEST_DEVICES=y
CONFIG_PCI_TESTDEV=y
CONFIG_EDU=y

# From 10.0 on, q35 does not link without these.
CONFIG_PXB=y
CONFIG_CXL=y
CONFIG_CXL_MEM_DEVICE=y
