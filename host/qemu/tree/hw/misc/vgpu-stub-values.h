/*
 * Virtual GPU stub device: the host's view of it, as QOM properties
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VGPU_STUB_VALUES_H
#define VGPU_STUB_VALUES_H

#include "qom/object.h"

#include "vgpu-stub.h"

/* The model of a device; NULL where it does not run yet. */
VgpuDevice *vgpu_values_model(Object *obj);

/* Gives a class all registers and counters that the model has. */
void vgpu_values_add(ObjectClass *klass);

#endif
