// SPDX-License-Identifier: GPL-2.0-only
/* Memory that the host has too: pages of the driver's own, which programs map, or of programs. */
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "vgpu.h"
#include "vgpu_compat.h"

/* The largest chunks that are tried: 2 MiB, which the host can map at once. */
#define VGPU_ORDER (21 - PAGE_SHIFT)
/* Pages of a program's that are pinned at once. */
#define VGPU_PINNED BIT(VGPU_ORDER)

/* What else lies in the first and the last page of such memory, the host sees too. */
static bool vgpu_user_regions = true;
module_param_named(user_regions, vgpu_user_regions, bool, 0644);
MODULE_PARM_DESC(user_regions, "Share memory that programs register, which is copied otherwise");

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

/* The next chunk, of new pages. */
static bool vgpu_memory_grow(struct vgpu_memory *memory, unsigned int order)
{
	gfp_t kind = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_COMP | __GFP_NOWARN;
	struct page *page = NULL;

	if (memory->count < VGPU_SEGMENT_PIECES_MAX && !fatal_signal_pending(current))
		page = alloc_pages(kind | (order ? __GFP_NORETRY : 0), order);
	if (page)
		memory->chunks[memory->count++] = (struct vgpu_chunk){ page, 0, order };
	return page;
}

/* Makes memory, zeroed, of chunks that are as large as there are. */
struct vgpu_memory *vgpu_memory_make(u64 size)
{
	struct vgpu_memory *memory = vgpu_memory_new(size);
	unsigned int order = VGPU_ORDER;
	u64 left = size >> PAGE_SHIFT;

	while (!IS_ERR(memory) && left) {
		order = min_t(unsigned int, order, ilog2(left));
		if (vgpu_memory_grow(memory, order)) {
			left -= 1ULL << order;
		} else if (order) {
			order--;
		} else {
			vgpu_memory_free(NULL, memory);
			return ERR_PTR(-ENOMEM);
		}
	}
	return memory;
}

/* Whether pages lie in a row, of whose first half that is known. */
static bool vgpu_is_row(struct page **pages, unsigned int left, unsigned int order)
{
	unsigned long first = page_to_pfn(pages[0]), i;

	if (!(left >> order) || !IS_ALIGNED(first, 1UL << order))
		return false;
	for (i = 1UL << (order - 1); i < 1UL << order; i++)
		if (page_to_pfn(pages[i]) != first + i)
			return false;
	return true;
}

/* Adds pages that are pinned, in chunks that are as large as they lie in a row. */
static int vgpu_memory_add_pinned(struct vgpu_memory *memory, struct page **pages,
				  unsigned int count)
{
	const u32 most = VGPU_SEGMENT_PIECES_MAX;
	unsigned int order, done;

	for (done = 0; done < count && memory->count < most; done += 1U << order) {
		order = 0;
		while (vgpu_is_row(pages + done, count - done, order + 1))
			order++;
		memory->chunks[memory->count++] = (struct vgpu_chunk){ pages[done], 0, order };
	}
	unpin_user_pages_dirty_lock(pages + done, count - done, true);
	return done < count ? -ENOMEM : 0;
}

static int vgpu_memory_pin_all(struct vgpu_memory *memory, unsigned long address)
{
	struct page **pages = kmalloc_array(VGPU_PINNED, sizeof(*pages), GFP_KERNEL);
	unsigned long end = address + memory->size;
	int error = pages ? 0 : -ENOMEM;

	while (!error && address < end) {
		unsigned long wanted = min_t(u64, (end - address) >> PAGE_SHIFT, VGPU_PINNED);
		int count = pin_user_pages_fast(address, wanted, FOLL_WRITE | FOLL_LONGTERM, pages);

		if (count <= 0)
			error = count ?: -EFAULT;
		else
			error = vgpu_memory_add_pinned(memory, pages, count);
		address += (unsigned long)max(count, 0) << PAGE_SHIFT;
	}
	kfree(pages);
	return error;
}

/* Memory of the program that asks: as much as it may lock, with what others have pinned of it. */
struct vgpu_memory *vgpu_memory_pin(u64 address, u64 size)
{
	u64 pages = size >> PAGE_SHIFT, most = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct vgpu_memory *memory;
	int error = -ENOMEM;

	if (!vgpu_user_regions)
		return ERR_PTR(-EOPNOTSUPP);
	if (!PAGE_ALIGNED(address) || address + size < address)
		return ERR_PTR(-EINVAL);
	memory = vgpu_memory_new(size);
	if (IS_ERR(memory))
		return memory;
	memory->mm = current->mm;
	mmgrab(memory->mm);
	if (vgpu_pinned_add(memory->mm, pages) <= most || capable(CAP_IPC_LOCK))
		error = vgpu_memory_pin_all(memory, address);
	if (!error)
		return memory;
	vgpu_memory_free(NULL, memory);
	return ERR_PTR(error);
}

/* Maps it for the device. */
int vgpu_memory_attach(struct vgpu_device *vgpu, struct vgpu_memory *memory)
{
	lockdep_assert_held(&vgpu->lock);
	for (; memory->mapped < memory->count; memory->mapped++) {
		struct vgpu_chunk *chunk = &memory->chunks[memory->mapped];

		chunk->address = dma_map_page(&vgpu->pci->dev, chunk->page, 0,
					      PAGE_SIZE << chunk->order, DMA_BIDIRECTIONAL);
		if (dma_mapping_error(&vgpu->pci->dev, chunk->address))
			return -ENOMEM;
	}
	return 0;
}

static void vgpu_chunk_unpin(const struct vgpu_chunk *chunk)
{
	unsigned int i;

	for (i = 0; i < 1U << chunk->order; i++) {
		struct page *page = chunk->page + i;

		unpin_user_pages_dirty_lock(&page, 1, true);
	}
}

/*
 * Gives it back: pages that a program has mapped are the program's until it unmaps them, and no
 * longer held against the device's bound. Of what the device does not have, there need not be one.
 */
void vgpu_memory_free(struct vgpu_device *vgpu, struct vgpu_memory *memory)
{
	u32 i;

	for (i = 0; i < memory->count; i++) {
		struct vgpu_chunk *chunk = &memory->chunks[i];

		if (i < memory->mapped)
			dma_unmap_page(&vgpu->pci->dev, chunk->address, PAGE_SIZE << chunk->order,
				       DMA_BIDIRECTIONAL);
		if (memory->mm)
			vgpu_chunk_unpin(chunk);
		else
			__free_pages(chunk->page, chunk->order);
	}
	if (memory->mm) {
		vgpu_pinned_add(memory->mm, -(s64)(memory->size >> PAGE_SHIFT));
		mmdrop(memory->mm);
	}
	if (vgpu)
		vgpu->memory -= memory->size;
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

	if (memory->mm || vma->vm_end - vma->vm_start != memory->size)
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
