/* SPDX-License-Identifier: GPL-2.0-only */
/* What kernels from 4.19 on have under other names, or not at all. */
#ifndef VGPU_COMPAT_H
#define VGPU_COMPAT_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/version.h>

#ifndef CONFIG_64BIT
#error "the offsets of regions need 64 bits"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 5, 0)
/* Structures are laid out alike for programs of 32 bits, which have no such offsets. */
#define compat_ptr_ioctl NULL
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif
