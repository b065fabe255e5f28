/*
 * Virtual GPU stub device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * This shim puts the device model, a static library with the interface of
 * vgpu-stub.h, into QEMU 4.2 to 11. It decides nothing: every guest access
 * goes to the model. QEMU maps the BAR from, and migrates, its own copy of
 * config space (PCIDevice.config), so the copy is kept in step with the
 * model's.
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "migration/vmstate.h"
#include "trace.h"

#include "vgpu-stub-sharing.h"
#include "vgpu-stub-values.h"

#include "hw/pci/msix.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#if __has_include("hw/core/qdev-properties.h") /* since 11.0 */
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif

#define VGPU_STUB(obj) OBJECT_CHECK(VgpuStubState, (obj), TYPE_VGPU_STUB)
#define VGPU_STUB_CLASS(klass) \
    OBJECT_CLASS_CHECK(VgpuStubClass, (klass), TYPE_VGPU_STUB)
#define VGPU_STUB_GET_CLASS(obj) \
    OBJECT_GET_CLASS(VgpuStubClass, (obj), TYPE_VGPU_STUB)

typedef struct VgpuStubState {
    PCIDevice parent_obj;

    MemoryRegion bar0;
    VgpuOptions options;
    /*
     * From the first realize to the object's end: a vCPU may be on its way to
     * BAR0, waiting for the big lock, while the device is unplugged, and gets
     * there afterwards. All that reaches the model holds that lock.
     */
    VgpuDevice *model;
    /* While the device is plugged; NULL without features. */
    VgpuSharing *sharing;
    /* The device resets itself: nobody waits for what it had shared. */
    bool resets_itself;
    VgpuState migrated;
    /* What of it comes after the part that every device has. */
    uint8_t *more;
    uint32_t more_size;
} VgpuStubState;

typedef struct VgpuStubClass {
    PCIDeviceClass parent_class;

    DeviceRealize parent_realize;
} VgpuStubClass;

VgpuDevice *vgpu_values_model(Object *obj)
{
    return VGPU_STUB(obj)->model;
}

/* QEMU's copy follows the model: first what QEMU acts on, then the rest. */
static void vgpu_stub_follow_model(VgpuStubState *s)
{
    PCIDevice *pci_dev = PCI_DEVICE(s);
    uint8_t config[VGPU_CONFIG_SIZE] = { 0 };

    vgpu_config(s->model, &config);
    pci_default_write_config(pci_dev, PCI_BASE_ADDRESS_0,
                             pci_get_long(config + PCI_BASE_ADDRESS_0), 4);
    pci_default_write_config(pci_dev, PCI_COMMAND,
                             pci_get_word(config + PCI_COMMAND), 2);
    if (msix_present(pci_dev)) {
        uint32_t flags = pci_dev->msix_cap + PCI_MSIX_FLAGS;

        pci_default_write_config(pci_dev, flags, pci_get_word(config + flags),
                                 2);
    }
    memcpy(pci_dev->config, config, sizeof(config));
}

/* Does what follows from an access of the guest's. */
static void vgpu_stub_act(VgpuStubState *s, VgpuTodo todo)
{
    if (todo.reset) {
        s->resets_itself = true;
        pci_device_reset(PCI_DEVICE(s));
        s->resets_itself = false;
    }
    vgpu_sharing_act(s->sharing, todo);
}

static uint32_t vgpu_stub_config_read(PCIDevice *pci_dev, uint32_t addr,
                                      int len)
{
    VgpuStubState *s = VGPU_STUB(pci_dev);
    uint32_t value = vgpu_config_read(s->model, addr, len);

    trace_vgpu_stub_config_read(addr, len, value);
    return value;
}

static void vgpu_stub_config_write(PCIDevice *pci_dev, uint32_t addr,
                                   uint32_t value, int len)
{
    VgpuStubState *s = VGPU_STUB(pci_dev);
    VgpuTodo todo;

    trace_vgpu_stub_config_write(addr, len, value);
    todo = vgpu_config_write(s->model, addr, len, value);
    if (!todo.reset) {
        pci_default_write_config(pci_dev, addr, value, len);
        /* Read-only in QEMU's copy: see vgpu_stub_realize(). */
        pci_dev->config[PCI_INTERRUPT_LINE] =
            vgpu_config_read(s->model, PCI_INTERRUPT_LINE, 1);
    }
    vgpu_stub_act(s, todo);
}

static uint64_t vgpu_stub_bar0_read(void *opaque, hwaddr addr, unsigned size)
{
    VgpuStubState *s = opaque;
    bool refused = false;
    uint64_t value = vgpu_bar0_read(s->model, addr, size, &refused);

    trace_vgpu_stub_bar0_read(addr, size, value);
    if (refused) {
        qemu_log_mask(LOG_GUEST_ERROR, TYPE_VGPU_STUB
                      ": refused read of %u bytes at BAR0 + 0x%" HWADDR_PRIx
                      "\n", size, addr);
    }
    return value;
}

static void vgpu_stub_bar0_write(void *opaque, hwaddr addr, uint64_t value,
                                 unsigned size)
{
    VgpuStubState *s = opaque;
    bool refused = false;

    trace_vgpu_stub_bar0_write(addr, size, value);
    vgpu_stub_act(s, vgpu_bar0_write(s->model, addr, size, value, &refused));
    if (refused) {
        qemu_log_mask(LOG_GUEST_ERROR, TYPE_VGPU_STUB
                      ": refused write of %u bytes at BAR0 + 0x%" HWADDR_PRIx
                      "\n", size, addr);
    }
}

/* All accesses reach the model as the guest made them. */
static const MemoryRegionOps vgpu_stub_bar0_ops = {
    .read = vgpu_stub_bar0_read,
    .write = vgpu_stub_bar0_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static void vgpu_stub_reset(DeviceState *dev)
{
    VgpuStubState *s = VGPU_STUB(dev);

    /* A bus resets what is on it, also before realize and after unrealize. */
    if (!dev->realized) {
        return;
    }
    trace_vgpu_stub_reset();
    vgpu_sharing_act_later(s->sharing,
                           vgpu_reset(s->model, !s->resets_itself));
    vgpu_stub_follow_model(s);
}

static int vgpu_stub_pre_save(void *opaque)
{
    VgpuStubState *s = opaque;

    vgpu_save(s->model, &s->migrated);
    s->more_size = s->migrated.size - VGPU_STATE_FIXED;
    return 0;
}

static int vgpu_stub_pre_load(void *opaque)
{
    VgpuStubState *s = opaque;

    s->more_size = 0;
    return 0;
}

static int vgpu_stub_post_load(void *opaque, int version_id)
{
    VgpuStubState *s = opaque;
    VgpuTodo todo = { 0 };
    char error[VGPU_ERROR_SIZE] = "";

    s->migrated.size = VGPU_STATE_FIXED + s->more_size;
    if (!vgpu_restore(s->model, &s->migrated, &todo, &error)) {
        error_report(TYPE_VGPU_STUB ": %s", error);
        return -EINVAL;
    }
    vgpu_stub_follow_model(s);
    vgpu_sharing_act_later(s->sharing, todo);
    return 0;
}

static bool vgpu_stub_more_needed(void *opaque)
{
    return VGPU_STUB(opaque)->more_size != 0;
}

static bool vgpu_stub_more_fits(void *opaque, int version_id)
{
    return VGPU_STUB(opaque)->more_size <= VGPU_STATE_MOST - VGPU_STATE_FIXED;
}

/* A device without it migrates to and from a QEMU that does not know of it. */
static const VMStateDescription vgpu_stub_vmstate_more = {
    .name = TYPE_VGPU_STUB "/more",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vgpu_stub_more_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(more_size, VgpuStubState),
        VMSTATE_VALIDATE("its size", vgpu_stub_more_fits),
        VMSTATE_VBUFFER_UINT32(more, VgpuStubState, 0, NULL, more_size),
        VMSTATE_END_OF_LIST()
    },
};

static bool vgpu_stub_msix_needed(void *opaque)
{
    return msix_present(PCI_DEVICE(opaque));
}

static const VMStateDescription vgpu_stub_vmstate_msix = {
    .name = TYPE_VGPU_STUB "/msix",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vgpu_stub_msix_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_MSIX(parent_obj, VgpuStubState),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vgpu_stub_vmstate = {
    .name = TYPE_VGPU_STUB,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = vgpu_stub_pre_save,
    .pre_load = vgpu_stub_pre_load,
    .post_load = vgpu_stub_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, VgpuStubState),
        VMSTATE_UINT8_SUB_ARRAY(migrated.bytes, VgpuStubState, 0,
                                VGPU_STATE_FIXED),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *[]) {
        &vgpu_stub_vmstate_more,
        &vgpu_stub_vmstate_msix,
        NULL
    },
};

/*
 * On an express bus the function has 4096 bytes of config space, elsewhere
 * 256. PCIDevice's own realize allocates them, so this comes before it.
 */
static void vgpu_stub_device_realize(DeviceState *dev, Error **errp)
{
    PCIDevice *pci_dev = PCI_DEVICE(dev);

    if (pci_bus_is_express(pci_get_bus(pci_dev))) {
        pci_dev->cap_present |= QEMU_PCI_CAP_EXPRESS;
    }
    VGPU_STUB_GET_CLASS(dev)->parent_realize(dev, errp);
}

static VgpuPlace vgpu_stub_place(PCIDevice *pci_dev)
{
    PCIBus *bus = pci_get_bus(pci_dev);

    if (pci_bus_is_express(bus)) {
        return pci_bus_is_root(bus) ? VGPU_PLACE_ROOT_BUS : VGPU_PLACE_PORT;
    }
    while (!pci_bus_is_root(bus)) {
        bus = pci_get_bus(pci_bridge_get_device(bus));
    }
    return pci_bus_is_express(bus) ? VGPU_PLACE_CONVENTIONAL_BRIDGE
                                   : VGPU_PLACE_ROOT_BUS;
}

/* What the callbacks of the region use lives on: see vgpu_stub_finalize(). */
static void vgpu_stub_exit(PCIDevice *pci_dev)
{
    VgpuStubState *s = VGPU_STUB(pci_dev);

    vgpu_sharing_stop(s->sharing);
    s->sharing = NULL;
}

static void vgpu_stub_realize(PCIDevice *pci_dev, Error **errp)
{
    VgpuStubState *s = VGPU_STUB(pci_dev);
    VgpuDevice *model;
    char error[VGPU_ERROR_SIZE] = "";

    /* What the model's config space does not show to the guest. */
    if (pci_dev->romfile && *pci_dev->romfile) {
        error_setg(errp, "property 'romfile': " TYPE_VGPU_STUB
                   " has no expansion ROM; leave it out");
        return;
    }
    if (pci_dev->cap_present & QEMU_PCI_CAP_MULTIFUNCTION) {
        error_setg(errp, "property 'multifunction': " TYPE_VGPU_STUB
                   " has a single function; leave it out");
        return;
    }

    s->options.place = vgpu_stub_place(pci_dev);
    if (s->options.features) {
        s->sharing = vgpu_sharing_new(pci_dev, &s->bar0);
        s->options.memory_is_shared = vgpu_sharing_has_memory(s->sharing);
    }
    model = vgpu_new(&s->options, &error);
    if (!model) {
        error_setg(errp, "%s", error);
        vgpu_stub_exit(pci_dev);
        return;
    }
    /*
     * The region is made once, as it may be in use for a while after the
     * device was unrealized.
     */
    if (s->model) {
        memory_region_set_size(&s->bar0, vgpu_bar0_size(model));
        vgpu_free(s->model);
    } else {
        memory_region_init_io(&s->bar0, OBJECT(s), &vgpu_stub_bar0_ops, s,
                              "vgpu-stub-bar0", vgpu_bar0_size(model));
    }
    s->model = model;
    s->more = s->migrated.bytes + VGPU_STATE_FIXED;

    /* Before the model's bytes are put over what it writes. */
    if (s->sharing && !vgpu_sharing_start(s->sharing, model,
                                           s->options.link != NULL, errp)) {
        vgpu_stub_exit(pci_dev);
        return;
    }
    vgpu_config_write_mask(s->model, (void *)pci_dev->wmask);
    /*
     * Migration compares all bits that the guest cannot change, so a device
     * with another configuration refuses the stream.
     */
    memset(pci_dev->cmask, 0xff, VGPU_CONFIG_SIZE);
    /*
     * QEMU's reset clears the writable bits of Interrupt Line after the
     * device's own reset, where the model says 0xFF. As a read-only register
     * QEMU leaves it alone, and the shim copies it.
     */
    pci_dev->wmask[PCI_INTERRUPT_LINE] = 0;
    pci_dev->cmask[PCI_INTERRUPT_LINE] = 0;

    pci_register_bar(pci_dev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->bar0);

    vgpu_stub_follow_model(s);
    pci_dev->exp.exp_cap = pci_find_capability(pci_dev, PCI_CAP_ID_EXP);
}

static void vgpu_stub_finalize(Object *obj)
{
    vgpu_free(VGPU_STUB(obj)->model);
}

#if QEMU_SINCE(10, 0)
static const Property vgpu_stub_properties[] = {
#else
static Property vgpu_stub_properties[] = {
#endif
    DEFINE_PROP_UINT16("vendor-id", VgpuStubState, options.vendor_id,
                       VGPU_VENDOR_ID),
    DEFINE_PROP_UINT16("device-id", VgpuStubState, options.device_id,
                       VGPU_DEVICE_ID),
    DEFINE_PROP_UINT16("subsystem-vendor-id", VgpuStubState,
                       options.subsystem_vendor_id, VGPU_SUBSYSTEM_VENDOR_ID),
    DEFINE_PROP_UINT16("subsystem-id", VgpuStubState, options.subsystem_id,
                       VGPU_SUBSYSTEM_ID),
    DEFINE_PROP_UINT8("revision", VgpuStubState, options.revision,
                      VGPU_REVISION),
    DEFINE_PROP_SIZE("bar0-size", VgpuStubState, options.bar0_size,
                     VGPU_BAR0_SIZE),
    DEFINE_PROP_BOOL("features", VgpuStubState, options.features, false),
    DEFINE_PROP_STRING("link", VgpuStubState, options.link),
    DEFINE_PROP_STRING("machine", VgpuStubState, options.machine),
#ifdef DEFINE_PROP_END_OF_LIST /* until 10.0 */
    DEFINE_PROP_END_OF_LIST(),
#endif
};

#if QEMU_SINCE(10, 1)
static void vgpu_stub_class_init(ObjectClass *klass, const void *data)
#else
static void vgpu_stub_class_init(ObjectClass *klass, void *data)
#endif
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);
    VgpuStubClass *vc = VGPU_STUB_CLASS(klass);

    k->realize = vgpu_stub_realize;
    k->exit = vgpu_stub_exit;
    k->config_read = vgpu_stub_config_read;
    k->config_write = vgpu_stub_config_write;
    device_class_set_parent_realize(dc, vgpu_stub_device_realize,
                                    &vc->parent_realize);
#if QEMU_SINCE(9, 2)
    device_class_set_legacy_reset(dc, vgpu_stub_reset);
#else
    dc->reset = vgpu_stub_reset;
#endif
    dc->vmsd = &vgpu_stub_vmstate;
    dc->desc = "Virtual GPU stub (processing accelerator)";
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
#if QEMU_SINCE(5, 0)
    device_class_set_props(dc, vgpu_stub_properties);
#else
    dc->props = vgpu_stub_properties;
#endif
    vgpu_values_add(klass);
}

static const TypeInfo vgpu_stub_info = {
    .name = TYPE_VGPU_STUB,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(VgpuStubState),
    .class_size = sizeof(VgpuStubClass),
    .class_init = vgpu_stub_class_init,
    .instance_finalize = vgpu_stub_finalize,
#if QEMU_SINCE(10, 1)
    .interfaces = (const InterfaceInfo[]) {
#else
    .interfaces = (InterfaceInfo[]) {
#endif
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void vgpu_stub_register_types(void)
{
    type_register_static(&vgpu_stub_info);
}

type_init(vgpu_stub_register_types)
