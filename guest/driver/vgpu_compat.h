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

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 6, 0)
/* Pages of programs are pinned otherwise there: none of them are shared. */
#ifndef FOLL_LONGTERM
#define FOLL_LONGTERM 0
#endif

static inline int pin_user_pages_fast(unsigned long start, int count, unsigned int flags,
				      struct page **pages)
{
	return -EOPNOTSUPP;
}

static inline void unpin_user_pages_dirty_lock(struct page **pages, unsigned long count, bool dirty)
{
}

static inline s64 vgpu_pinned_add(struct mm_struct *mm, s64 pages)
{
	return 0;
}
#else
/* Pages that are pinned of a program, by whomever, with so many more. */
static inline s64 vgpu_pinned_add(struct mm_struct *mm, s64 pages)
{
	return atomic64_add_return(pages, &mm->pinned_vm);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif
