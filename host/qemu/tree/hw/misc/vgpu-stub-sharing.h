/*
 * Virtual GPU stub device: what a guest shares with the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VGPU_STUB_SHARING_H
#define VGPU_STUB_SHARING_H

#if __has_include("hw/pci/pci_device.h") /* since 8.0 */
#include "hw/pci/pci_device.h"
#else
#include "hw/pci/pci.h"
#endif

#include "vgpu-stub.h"

#define TYPE_VGPU_STUB "vgpu-stub"

#define QEMU_SINCE(major, minor)          \
    (QEMU_VERSION_MAJOR > (major) ||      \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

/* QEMU's part of a device with features. NULL stands for one without. */
typedef struct VgpuSharing VgpuSharing;

/* Of a device whose model is made next; looks at the machine's memory. */
VgpuSharing *vgpu_sharing_new(PCIDevice *pci_dev, MemoryRegion *bar0);

/* Whether other processes can map the machine's memory. */
bool vgpu_sharing_has_memory(VgpuSharing *sharing);

/*
 * Gives the device its interrupts, in BAR0 and in QEMU's copy of config space,
 * and where it is to search, looks for the daemon. Where it fails,
 * vgpu_sharing_stop() comes next.
 */
bool vgpu_sharing_start(VgpuSharing *sharing, VgpuDevice *model, bool search,
                        Error **errp);

/* Frees it. Returns when nobody has the guest's memory, or after a second. */
void vgpu_sharing_stop(VgpuSharing *sharing);

/* Does what follows from an access of the guest's. */
void vgpu_sharing_act(VgpuSharing *sharing, VgpuTodo todo);

/*
 * The same where QEMU is in the middle of something, such as a change of the
 * memory map or a load: from the main loop, and interrupts when the guest runs.
 */
void vgpu_sharing_act_later(VgpuSharing *sharing, VgpuTodo todo);

#endif
