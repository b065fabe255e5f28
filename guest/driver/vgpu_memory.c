// SPDX-License-Identifier: GPL-2.0-only
/* Memory that the host has too: pages of the driver's own, which programs map. */
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>

#include "vgpu.h"
#include "vgpu_compat.h"

/* The largest chunks that are tried: 2 MiB, which the host can map at once. */
#define VGPU_ORDER (21 - PAGE_SHIFT)

static struct vgpu_memory *vgpu_memory_new(u64 size)
{
	u64 pages = size >> PAGE_SHIFT;
	struct vgpu_memory *memory;

	if (!size || !PAGE_ALIGNED(size))
		return ERR_PTR(-EINVAL);
	if (pages > (u64)VGPU_SEGMENT_PIECES_MAX << VGPU_ORDER)
		return ERR_PTR(-ENOSPC);
	/* As many chunks as there are pages, but no more than the host takes. */
	pages = min_t(u64, pages, VGPU_SEGMENT_PIECES_MAX);
	memory = kvzalloc(struct_size(memory, chunks, pages), GFP_KERNEL_ACCOUNT);
	if (!memory)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&memory->list);
	memory->size = size;
	return memory;
}

/* The next chunk, of pages that are given up to it. */
static int vgpu_memory_add(struct vgpu_device *vgpu, struct vgpu_memory *memory, unsigned int order)
{
	gfp_t kind = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_COMP | __GFP_NOWARN;
	struct device *device = &vgpu->pci->dev;
	struct page *page;
	dma_addr_t address;

	if (memory->count >= VGPU_SEGMENT_PIECES_MAX || fatal_signal_pending(current))
		return -ENOMEM;
	page = alloc_pages(kind | (order ? __GFP_NORETRY : 0), order);
	if (!page)
		return -ENOMEM;
	address = dma_map_page(device, page, 0, PAGE_SIZE << order, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(device, address)) {
		__free_pages(page, order);
		return -ENOMEM;
	}
	memory->chunks[memory->count++] = (struct vgpu_chunk){ page, address, order };
	return 0;
}

/* Makes memory, zeroed, of chunks that are as large as there are. */
struct vgpu_memory *vgpu_memory_make(struct vgpu_device *vgpu, u64 size)
{
	struct vgpu_memory *memory = vgpu_memory_new(size);
	unsigned int order = VGPU_ORDER;
	u64 left = size >> PAGE_SHIFT;

	lockdep_assert_held(&vgpu->lock);
	while (!IS_ERR(memory) && left) {
		order = min_t(unsigned int, order, ilog2(left));
		if (!vgpu_memory_add(vgpu, memory, order)) {
			left -= 1ULL << order;
		} else if (order) {
			order--;
		} else {
			vgpu_memory_free(vgpu, memory);
			return ERR_PTR(-ENOMEM);
		}
	}
	return memory;
}

/* Gives it back: pages that a program has mapped are the program's until it unmaps them. */
void vgpu_memory_free(struct vgpu_device *vgpu, struct vgpu_memory *memory)
{
	u32 i;

	for (i = 0; i < memory->count; i++) {
		struct vgpu_chunk *chunk = &memory->chunks[i];

		dma_unmap_page(&vgpu->pci->dev, chunk->address, PAGE_SIZE << chunk->order,
			       DMA_BIDIRECTIONAL);
		__free_pages(chunk->page, chunk->order);
	}
	kvfree(memory);
}

void vgpu_memory_free_all(struct vgpu_device *vgpu, struct list_head *list)
{
	struct vgpu_memory *memory, *next;

	list_for_each_entry_safe(memory, next, list, list) {
		list_del(&memory->list);
		vgpu_memory_free(vgpu, memory);
	}
}

/* Writes the directory of some memory, whose pages lie in a row, for the next command. */
void vgpu_directory_write(struct vgpu_device *vgpu, const struct vgpu_memory *memory)
{
	const u32 unit = ilog2(VGPU_SEGMENT_PAGE);
	__le64 *entry = NULL;
	u32 i;

	lockdep_assert_held(&vgpu->lock);
	for (i = 0; i < memory->count; i++) {
		const struct vgpu_chunk *chunk = &memory->chunks[i];
		u32 left = memory->count - i;

		if (i % VGPU_SEGMENT_PER_PAGE == 0) {
			u64 offset = (u64)i / VGPU_SEGMENT_PER_PAGE * VGPU_SEGMENT_PAGE;
			u64 next = vgpu->directory_address + offset + VGPU_SEGMENT_PAGE;
			struct vgpu_directory *head = vgpu->directory + offset;

			head->magic = cpu_to_le32(VGPU_SEGMENT_MAGIC);
			head->count = cpu_to_le32(min_t(u32, left, VGPU_SEGMENT_PER_PAGE));
			head->next = cpu_to_le64(left > VGPU_SEGMENT_PER_PAGE ? next : 0);
			entry = (void *)(head + 1);
		}
		*entry++ = cpu_to_le64(chunk->address | (chunk->order + PAGE_SHIFT - unit));
	}
}

/* Maps all of it, cached as all memory is. */
int vgpu_memory_map(const struct vgpu_memory *memory, struct vm_area_struct *vma)
{
	unsigned long address = vma->vm_start;
	u32 i, page;
	int error;

	if (vma->vm_end - vma->vm_start != memory->size)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	for (i = 0; i < memory->count; i++) {
		for (page = 0; page < 1U << memory->chunks[i].order; page++) {
			error = vm_insert_page(vma, address, memory->chunks[i].page + page);
			if (error)
				return error;
			address += PAGE_SIZE;
		}
	}
	return 0;
}
