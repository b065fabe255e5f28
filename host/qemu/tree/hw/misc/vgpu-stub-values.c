/*
 * Virtual GPU stub device: the host's view of it, as QOM properties
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"

#include "vgpu-stub-sharing.h"
#include "vgpu-stub-values.h"

static void vgpu_values_get(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    VgpuDevice *model = vgpu_values_model(obj);
    const VgpuValue *which = opaque;
    uint64_t value = model ? vgpu_value(model, which) : 0;

    visit_type_uint64(v, name, &value, errp);
}

static void vgpu_values_set_status(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    VgpuDevice *model = vgpu_values_model(obj);
    Error *local_err = NULL;
    char error[VGPU_ERROR_SIZE] = "";
    uint32_t value;

    visit_type_uint32(v, name, &value, &local_err);
    if (local_err) {
        error_propagate(errp, local_err);
    } else if (!model) {
        error_setg(errp, "property '%s': " TYPE_VGPU_STUB
                   " does not run yet; set it on the running device", name);
    } else if (!vgpu_set_status(model, value, &error)) {
        error_setg(errp, "property '%s': %s", name, error);
    }
}

void vgpu_values_add(ObjectClass *klass)
{
    const VgpuValue *value;
    uint32_t i;

    for (i = 0; (value = vgpu_value_at(i)); i++) {
        object_class_property_add(
            klass, value->name, value->settable ? "uint32" : "uint64",
            vgpu_values_get,
            value->settable ? vgpu_values_set_status : NULL,
            NULL, (void *)value
#if !QEMU_SINCE(5, 1)
            , &error_abort
#endif
            );
        object_class_property_set_description(
            klass, value->name, value->description
#if !QEMU_SINCE(5, 1)
            , &error_abort
#endif
            );
    }
}
