/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver of the virtual GPU: it shares memory with the host, and passes wake-ups on. What is
 * said in that memory is no affair of its own.
 */
#ifndef VGPU_H
#define VGPU_H

#include <linux/completion.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "vgpu_uapi.h"

/* Bytes of a segment directory that is as long as any. */
#define VGPU_DIRECTORY_SIZE ((size_t)VGPU_SEGMENT_PAGES_MAX * VGPU_SEGMENT_PAGE)
/* Words of the device's page with a bit for each channel. */
#define VGPU_PENDING_WORDS (VGPU_CHANNELS / 64)

/*
 * A device. It outlives its PCI function for as long as a file is open.
 *
 * Order of locks: mmap_lock, lock, access, sessions_lock. No page of a program's is touched under
 * the last three.
 */
struct vgpu_device {
	struct kref references;
	struct pci_dev *pci;
	struct miscdevice misc;
	int number;
	char name[16];

	/* The mailbox, the sessions and their regions; whether the device is used at all. */
	struct mutex lock;
	bool removed;
	/* It is settled, and the host has its page; else it has to be started first. */
	bool started;
	u32 generation;
	u32 request;
	struct list_head sessions;
	/* Memory that the host did not say it has given up. */
	struct list_head parked;
	/* Bytes of all memory for the device, what is being made among them, and the most. */
	u64 memory;
	u64 memory_max;
	void *directory;
	dma_addr_t directory_address;

	/* Registers are written to, and read, while this is held: for writing, who ends that. */
	struct rw_semaphore access;
	void __iomem *bar;

	struct completion answered;
	struct work_struct work;

	/* Sessions by their channels, for the interrupt. */
	spinlock_t sessions_lock;
	struct vgpu_session *channels[VGPU_CHANNELS];
	u64 *pending;
	dma_addr_t pending_address;
};

/* An open file, and its channel where it has one. */
struct vgpu_session {
	struct vgpu_device *device;
	struct list_head list;
	fl_owner_t owner;
	/* Under the device's lock. */
	struct list_head memory;
	int channel;
	/* Written under the device's lock. */
	bool lost;
	wait_queue_head_t wait;
	atomic64_t interrupts;
	/* As many of them as WAIT has told of. */
	u64 told;
};

/* Pages in a row, in memory and, once they are mapped, for the device. */
struct vgpu_chunk {
	struct page *page;
	dma_addr_t address;
	unsigned int order;
};

/* Memory that the host has too: a region of a channel. */
struct vgpu_memory {
	struct list_head list;
	u32 region;
	/* Chunks, and how many of them are mapped for the device. */
	u32 count;
	u32 mapped;
	u64 size;
	/* The program whose pages they are, pinned; none: they are the driver's own. */
	struct mm_struct *mm;
	struct vgpu_chunk chunks[];
};

static inline u32 vgpu_read(struct vgpu_device *vgpu, u32 offset)
{
	return readl(vgpu->bar + offset);
}

static inline void vgpu_write(struct vgpu_device *vgpu, u32 offset, u32 value)
{
	writel(value, vgpu->bar + offset);
}

/* vgpu_mailbox.c: all under the device's lock. */
int vgpu_command(struct vgpu_device *vgpu, u32 command, const void *parameters, size_t size,
		 u32 *number);
int vgpu_start(struct vgpu_device *vgpu);
int vgpu_ready(struct vgpu_device *vgpu);
void vgpu_stop(struct vgpu_device *vgpu);
void vgpu_look(struct vgpu_device *vgpu);
/* Without it. */
bool vgpu_is_gone(struct vgpu_device *vgpu);

/* vgpu_memory.c: under the device's lock too, but for what only makes memory. */
struct vgpu_memory *vgpu_memory_make(u64 size);
struct vgpu_memory *vgpu_memory_pin(u64 address, u64 size);
int vgpu_memory_attach(struct vgpu_device *vgpu, struct vgpu_memory *memory);
void vgpu_memory_free(struct vgpu_device *vgpu, struct vgpu_memory *memory);
void vgpu_memory_free_all(struct vgpu_device *vgpu, struct list_head *list);
void vgpu_directory_write(struct vgpu_device *vgpu, const struct vgpu_memory *memory);
int vgpu_memory_map(const struct vgpu_memory *memory, struct vm_area_struct *vma);

/* vgpu_session.c */
extern const struct file_operations vgpu_operations;
void vgpu_session_lose(struct vgpu_session *session);
void vgpu_session_forget(struct vgpu_session *session);
void vgpu_session_interrupt(struct vgpu_device *vgpu, unsigned int channel);
void vgpu_device_release(struct kref *references);

#endif
