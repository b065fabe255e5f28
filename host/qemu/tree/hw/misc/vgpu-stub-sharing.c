/*
 * Virtual GPU stub device: what a guest shares with the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device with features has interrupts, doorbells, and a daemon to which it
 * passes the guest's memory on. The model decides what is passed on; this
 * finds memory, watches descriptors, and tells QEMU what it must not do
 * meanwhile. All of it runs under the big lock. Nothing waits but a reset of
 * the machine, a change of its memory that the daemon has, and an unplug.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/event_notifier.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "migration/blocker.h"
#include "hw/pci/msix.h"
#include "trace.h"

#include "vgpu-stub-sharing.h"

#if __has_include("system/ramblock.h") /* since 10.1 */
#include "system/address-spaces.h"
#include "system/ramblock.h"
#else
#include "exec/address-spaces.h"
#include "exec/cpu-common.h"
#if QEMU_SINCE(8, 1)
#include "exec/ramblock.h"
#endif
#endif

/* How often a daemon is looked for that is not there. */
#define SEARCH_INTERVAL_MS 250

struct VgpuSharing {
    PCIDevice *pci_dev;
    MemoryRegion *bar0;
    /* The device's own. NULL until it is made. */
    VgpuDevice *model;
    MemoryListener listener;
    bool has_memory;
    /* Does what the guest asks for, not under a vCPU's access. */
    QEMUBH *work;
    /* Looks for the daemon, where there is to be one. */
    QEMUTimer *search;
    bool searches;
    /* Raises vector 0 when the guest runs. */
    QEMUTimer *interrupt;
    /* The descriptors that are watched, or -1. */
    int link;
    int raised;
    /* Why the machine cannot be saved; NULL where it can. */
    Error *blocker;
    /* Where ioeventfds are, QEMU has a pointer to each. */
    EventNotifier doorbells[VGPU_CHANNELS];
};

static void vgpu_sharing_sync(VgpuSharing *sharing);

/* What a region of guest memory is to other processes. */
static VgpuPresence vgpu_sharing_presence(MemoryRegion *mr, bool readonly)
{
    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr) ||
        readonly) {
        return VGPU_PRESENCE_ABSENT;
    }
    if (memory_region_get_fd(mr) < 0 || !qemu_ram_is_shared(mr->ram_block)) {
        return VGPU_PRESENCE_PRIVATE;
    }
#if QEMU_SINCE(6, 0)
    /* Parts of it may be unplugged while it stays in the memory map. */
    if (memory_region_has_ram_discard_manager(mr)) {
        return VGPU_PRESENCE_PRIVATE;
    }
#endif
    return VGPU_PRESENCE_SHARED;
}

/* Where the memory of a region begins in its file. */
static uint64_t vgpu_sharing_file_offset(MemoryRegion *mr)
{
#if QEMU_SINCE(10, 1)
    return qemu_ram_get_fd_offset(mr->ram_block);
#elif QEMU_SINCE(8, 1)
    return mr->ram_block->fd_offset;
#else
    return 0;
#endif
}

static VgpuPresence vgpu_sharing_find(void *opaque, uint64_t address,
                                      VgpuFound *found)
{
    MemoryRegionSection section =
        memory_region_find(get_system_memory(), address, INT64_MAX);
    VgpuPresence presence = VGPU_PRESENCE_ABSENT;

    if (!section.mr) {
        return presence;
    }
    /* It is the next one where there is none at the address. */
    if (section.offset_within_address_space == address) {
        presence = vgpu_sharing_presence(section.mr, section.readonly);
    }
    if (presence == VGPU_PRESENCE_SHARED) {
        found->file = memory_region_get_fd(section.mr);
        found->offset = vgpu_sharing_file_offset(section.mr) +
                        section.offset_within_region;
        found->length = int128_get64(section.size);
    }
    memory_region_unref(section.mr);
    return presence;
}

static void vgpu_sharing_region_add(MemoryListener *listener,
                                    MemoryRegionSection *section)
{
    VgpuSharing *sharing = container_of(listener, VgpuSharing, listener);
    VgpuPresence presence = vgpu_sharing_presence(section->mr,
                                                  section->readonly);

    sharing->has_memory |= presence == VGPU_PRESENCE_SHARED;
}

static void vgpu_sharing_region_del(MemoryListener *listener,
                                    MemoryRegionSection *section)
{
    VgpuSharing *sharing = container_of(listener, VgpuSharing, listener);
    uint64_t first = section->offset_within_address_space;
    uint64_t last = first + int128_getlo(section->size) - 1;

    if (sharing->model && memory_region_is_ram(section->mr)) {
        vgpu_sharing_act_later(sharing,
                               vgpu_unmapped(sharing->model, first, last));
    }
}

/* Keeps the machine from being saved or moved; fails where it is already. */
static bool vgpu_sharing_block_migration(VgpuSharing *sharing)
{
    if (sharing->blocker) {
        return true;
    }
    error_setg(&sharing->blocker, TYPE_VGPU_STUB ": the guest shares memory "
               "with the host; end what uses the device in the guest");
#if QEMU_SINCE(8, 2)
    return migrate_add_blocker(&sharing->blocker, NULL) == 0;
#else
    if (migrate_add_blocker(sharing->blocker, NULL) < 0) {
        error_free(sharing->blocker);
        sharing->blocker = NULL;
        return false;
    }
    return true;
#endif
}

static void vgpu_sharing_allow_migration(VgpuSharing *sharing)
{
    if (!sharing->blocker) {
        return;
    }
#if QEMU_SINCE(8, 2)
    migrate_del_blocker(&sharing->blocker);
#else
    migrate_del_blocker(sharing->blocker);
    error_free(sharing->blocker);
    sharing->blocker = NULL;
#endif
}

static void vgpu_sharing_work(void *opaque)
{
    VgpuSharing *sharing = opaque;
    VgpuMemory memory = { .opaque = sharing, .find = vgpu_sharing_find };
    bool may = !vgpu_is_asked(sharing->model) ||
               vgpu_sharing_block_migration(sharing);

    vgpu_sharing_act(sharing,
                     vgpu_work(sharing->model, may ? &memory : NULL));
    vgpu_sharing_sync(sharing);
}

static void vgpu_sharing_hear(void *opaque)
{
    VgpuSharing *sharing = opaque;

    vgpu_sharing_act(sharing, vgpu_hear(sharing->model));
    vgpu_sharing_sync(sharing);
}

static void vgpu_sharing_search(void *opaque)
{
    VgpuSharing *sharing = opaque;

    vgpu_sharing_act(sharing, vgpu_connect(sharing->model));
    vgpu_sharing_sync(sharing);
}

static void vgpu_sharing_raised(void *opaque)
{
    VgpuSharing *sharing = opaque;

    if (vgpu_is_raised(sharing->model)) {
        msix_notify(sharing->pci_dev, VGPU_VECTOR_CHANNELS);
    }
}

static void vgpu_sharing_interrupt(void *opaque)
{
    VgpuSharing *sharing = opaque;

    msix_notify(sharing->pci_dev, VGPU_VECTOR_CONTROL);
}

/* Has QEMU signal the doorbells of open channels, KVM where it can. */
static void vgpu_sharing_sync_doorbells(VgpuSharing *sharing)
{
    VgpuDoorbell doorbell;

    while (vgpu_next_doorbell(sharing->model, &doorbell)) {
        EventNotifier *notifier = &sharing->doorbells[doorbell.channel];
        hwaddr address = VGPU_DOORBELLS + 4 * doorbell.channel;

        if (doorbell.before >= 0) {
            memory_region_del_eventfd(sharing->bar0, address, 4, false, 0,
                                      notifier);
        }
        if (doorbell.after >= 0) {
            event_notifier_init_fd(notifier, doorbell.after);
            memory_region_add_eventfd(sharing->bar0, address, 4, false, 0,
                                      notifier);
        }
    }
}

/* QEMU follows the model, in whatever may have changed. */
static void vgpu_sharing_sync(VgpuSharing *sharing)
{
    int link = vgpu_watched(sharing->model);

    if (link != sharing->link) {
        if (sharing->link >= 0) {
            qemu_set_fd_handler(sharing->link, NULL, NULL, NULL);
        }
        vgpu_unwatched(sharing->model);
        sharing->link = link;
        if (link >= 0) {
            qemu_set_fd_handler(link, vgpu_sharing_hear, NULL, sharing);
        }
        trace_vgpu_stub_link(link >= 0);
    }
    if ((link < 0 || vgpu_is_settling(sharing->model)) && sharing->searches &&
        !timer_pending(sharing->search)) {
        timer_mod(sharing->search, SEARCH_INTERVAL_MS +
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
    }
    vgpu_sharing_sync_doorbells(sharing);
    if (!vgpu_is_shared(sharing->model)) {
        vgpu_sharing_allow_migration(sharing);
    }
}

void vgpu_sharing_act(VgpuSharing *sharing, VgpuTodo todo)
{
    if (!sharing) {
        return;
    }
    if (todo.interrupt) {
        msix_notify(sharing->pci_dev, VGPU_VECTOR_CONTROL);
    }
    if (todo.work) {
        qemu_bh_schedule(sharing->work);
    }
}

void vgpu_sharing_act_later(VgpuSharing *sharing, VgpuTodo todo)
{
    if (!sharing) {
        return;
    }
    if (todo.interrupt) {
        timer_mod(sharing->interrupt, 0);
    }
    if (todo.work) {
        qemu_bh_schedule(sharing->work);
    }
}

/* Where the model has its MSI-X capability, which it has with features. */
static uint8_t vgpu_sharing_msix_offset(VgpuDevice *model)
{
    uint8_t config[VGPU_CONFIG_SIZE] = { 0 };
    uint8_t at;

    vgpu_config(model, &config);
    at = config[PCI_CAPABILITY_LIST];
    while (config[at + PCI_CAP_LIST_ID] != PCI_CAP_ID_MSIX) {
        at = config[at + PCI_CAP_LIST_NEXT];
        assert(at);
    }
    return at;
}

VgpuSharing *vgpu_sharing_new(PCIDevice *pci_dev, MemoryRegion *bar0)
{
    VgpuSharing *sharing = g_new0(VgpuSharing, 1);

    sharing->pci_dev = pci_dev;
    sharing->bar0 = bar0;
    sharing->link = -1;
    sharing->raised = -1;
    sharing->work = qemu_bh_new(vgpu_sharing_work, sharing);
    sharing->search = timer_new_ms(QEMU_CLOCK_REALTIME, vgpu_sharing_search,
                                   sharing);
    sharing->interrupt = timer_new_ms(QEMU_CLOCK_VIRTUAL,
                                      vgpu_sharing_interrupt, sharing);
    sharing->listener = (MemoryListener) {
#if QEMU_SINCE(6, 2)
        .name = TYPE_VGPU_STUB,
#endif
        .region_add = vgpu_sharing_region_add,
        .region_del = vgpu_sharing_region_del,
    };
    /* It is told at once of all memory that there is. */
    memory_listener_register(&sharing->listener, &address_space_memory);
    /* What the guest calls an address is another one behind an IOMMU. */
    if (pci_device_iommu_address_space(pci_dev) != &address_space_memory) {
        sharing->has_memory = false;
        warn_report(TYPE_VGPU_STUB ": the guest can share no memory with the "
                    "host behind an IOMMU; put the device where there is none");
    } else if (!sharing->has_memory) {
        warn_report(TYPE_VGPU_STUB ": the guest can share no memory with the "
                    "host, as the machine's is private; start it with -object "
                    "memory-backend-memfd,id=ram,size=SIZE,share=on -machine "
                    "memory-backend=ram");
    }
    return sharing;
}

bool vgpu_sharing_has_memory(VgpuSharing *sharing)
{
    return sharing->has_memory;
}

bool vgpu_sharing_start(VgpuSharing *sharing, VgpuDevice *model, bool search,
                        Error **errp)
{
    PCIDevice *pci_dev = sharing->pci_dev;
    uint8_t vector;

    if (msix_init(pci_dev, VGPU_VECTORS, sharing->bar0, 0, VGPU_MSIX_TABLE,
                  sharing->bar0, 0, VGPU_MSIX_PENDING,
                  vgpu_sharing_msix_offset(model), errp) < 0) {
        return false;
    }
    for (vector = 0; vector < VGPU_VECTORS; vector++) {
        msix_vector_use(pci_dev, vector);
    }
    sharing->model = model;
    sharing->searches = search;
    sharing->raised = vgpu_raised(model);
    qemu_set_fd_handler(sharing->raised, vgpu_sharing_raised, NULL, sharing);
    vgpu_sharing_search(sharing);
    return true;
}

void vgpu_sharing_stop(VgpuSharing *sharing)
{
    if (!sharing) {
        return;
    }
    if (sharing->model) {
        vgpu_reset(sharing->model, true);
        vgpu_sharing_sync(sharing);
        vgpu_sharing_allow_migration(sharing);
        qemu_set_fd_handler(sharing->raised, NULL, NULL, NULL);
        if (sharing->link >= 0) {
            qemu_set_fd_handler(sharing->link, NULL, NULL, NULL);
        }
        vgpu_detach(sharing->model);
        msix_uninit(sharing->pci_dev, sharing->bar0, sharing->bar0);
        /* The listener is told of all memory once more. */
        sharing->model = NULL;
    }
    memory_listener_unregister(&sharing->listener);
    timer_del(sharing->search);
    timer_free(sharing->search);
    timer_del(sharing->interrupt);
    timer_free(sharing->interrupt);
    qemu_bh_delete(sharing->work);
    g_free(sharing);
}
