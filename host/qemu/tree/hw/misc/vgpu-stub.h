/*
 * The device model's interface for QEMU
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Generated from the Rust crate vgpu-qemu; a test there keeps it so.
 */

#ifndef VGPU_STUB_H
#define VGPU_STUB_H

/*
 Bytes of config space that the model implements; those above read 0.
 */
#define VGPU_CONFIG_SIZE 256

/*
 Bytes of saved state that every device has. Those after them are the state of
 capabilities that hold something beside their registers.
 */
#define VGPU_STATE_FIXED 1296

/*
 Room for a saved state, in bytes: more than any has.
 */
#define VGPU_STATE_MOST 8192

/*
 Room for an error message with its closing NUL, in bytes.
 */
#define VGPU_ERROR_SIZE 256

/*
 Default of [`VgpuOptions::vendor_id`].
 */
#define VGPU_VENDOR_ID 6900

/*
 Default of [`VgpuOptions::device_id`].
 */
#define VGPU_DEVICE_ID 4369

/*
 Default of [`VgpuOptions::subsystem_vendor_id`].
 */
#define VGPU_SUBSYSTEM_VENDOR_ID 6900

/*
 Default of [`VgpuOptions::subsystem_id`].
 */
#define VGPU_SUBSYSTEM_ID 4369

/*
 Default of [`VgpuOptions::revision`].
 */
#define VGPU_REVISION 1

/*
 Default of [`VgpuOptions::bar0_size`].
 */
#define VGPU_BAR0_SIZE 4096

/*
 Interrupt vectors.
 */
#define VGPU_VECTORS 2

/*
 The vector of the device's own events.
 */
#define VGPU_VECTOR_CONTROL 0

/*
 The vector of all channels.
 */
#define VGPU_VECTOR_CHANNELS 1

/*
 Where the table of vectors is in BAR0.
 */
#define VGPU_MSIX_TABLE 3072

/*
 Where the pending bits are.
 */
#define VGPU_MSIX_PENDING 3584

/*
 Where doorbells begin, 4 bytes each.
 */
#define VGPU_DOORBELLS 2048

/*
 How many there are.
 */
#define VGPU_CHANNELS 256

/*
 Room for a value's name with its closing NUL, in bytes.
 */
#define VGPU_NAME_SIZE 32

/*
 Room for a value's description with its closing NUL, in bytes.
 */
#define VGPU_DESCRIPTION_SIZE 64

/*
 Where the device sits, which decides what it is in PCI Express.
 */
typedef enum {
  /*
   On a root bus, or below bridges in a machine of conventional PCI alone:
   an endpoint that is integrated and has no link.
   */
  VGPU_PLACE_ROOT_BUS,
  /*
   Behind a port of PCI Express: an endpoint with a link.
   */
  VGPU_PLACE_PORT,
  /*
   Below a bridge from PCI Express to conventional PCI: no capability, as
   QEMU hides it of vfio devices there (`hw/vfio/pci.c`).
   */
  VGPU_PLACE_CONVENTIONAL_BRIDGE,
} VgpuPlace;

/*
 Whether there is memory at an address.
 */
typedef enum {
  /*
   It is there, in a file that others can map.
   */
  VGPU_PRESENCE_SHARED,
  /*
   It is there, in no such file.
   */
  VGPU_PRESENCE_PRIVATE,
  /*
   The guest has none there that the device may write to.
   */
  VGPU_PRESENCE_ABSENT,
} VgpuPresence;

/*
 One device, and how many accesses to BAR0 it refused since it was made.
 */
typedef struct VgpuDevice VgpuDevice;

/*
 What the user chose, unchecked.
 */
typedef struct {
  /*
   Vendor ID.
   */
  uint16_t vendor_id;
  /*
   Device ID.
   */
  uint16_t device_id;
  /*
   Subsystem Vendor ID.
   */
  uint16_t subsystem_vendor_id;
  /*
   Subsystem ID.
   */
  uint16_t subsystem_id;
  /*
   Size of BAR0 in bytes.
   */
  uint64_t bar0_size;
  /*
   Revision ID.
   */
  uint8_t revision;
  /*
   Whether the device has features.
   */
  bool features;
  /*
   Where the daemon listens that serves its channels; NULL for none.
   */
  char *link;
  /*
   The machine's UUID, by which the daemon knows it; NULL for none.
   */
  char *machine;
  /*
   Whether other processes can map the guest's memory.
   */
  bool memory_is_shared;
  /*
   Where the device sits.
   */
  VgpuPlace place;
} VgpuOptions;

/*
 What QEMU has to do after the device has changed.
 */
typedef struct {
  /*
   Reset its own part of the device: this one is already.
   */
  bool reset;
  /*
   Raise interrupt vector 0.
   */
  bool interrupt;
  /*
   Call `vgpu_work` soon, from the main loop.
   */
  bool work;
} VgpuTodo;

/*
 A saved state, which has a length of its own.
 */
typedef struct {
  /*
   How many of the bytes it has, at least [`VGPU_STATE_FIXED`].
   */
  uint32_t size;
  /*
   The bytes, and room.
   */
  uint8_t bytes[VGPU_STATE_MOST];
} VgpuState;

/*
 Memory at an address.
 */
typedef struct {
  /*
   The descriptor of the file that holds it, which stays open while QEMU's big lock is held.
   */
  int32_t file;
  /*
   Where in the file the address is, in bytes.
   */
  uint64_t offset;
  /*
   How many bytes follow there in a row, not 0.
   */
  uint64_t length;
} VgpuFound;

/*
 How the guest's memory is found.
 */
typedef struct {
  /*
   What `find` takes first.
   */
  void *opaque;
  /*
   Finds what is at an address, and fills `found` where it is shared. Called under QEMU's big lock.
   */
  VgpuPresence (*find)(void *opaque, uint64_t address, VgpuFound *found);
} VgpuMemory;

/*
 The eventfd of a doorbell, for QEMU to signal in place of the device.
 */
typedef struct {
  /*
   Whose doorbell it is.
   */
  uint32_t channel;
  /*
   The descriptor that QEMU has for it, still open; -1 where it has none.
   */
  int32_t before;
  /*
   The descriptor that it is to have in place of that; -1 for none.
   */
  int32_t after;
} VgpuDoorbell;

/*
 A register or a counter, as the host sees it.
 */
typedef struct {
  /*
   Its name in small letters, such as data-offset.
   */
  char name[VGPU_NAME_SIZE];
  /*
   What it is.
   */
  char description[VGPU_DESCRIPTION_SIZE];
  /*
   Which of all values it is, from 0 on.
   */
  uint32_t index;
  /*
   Whether it is the one that [`vgpu_set_status`](crate::vgpu_set_status) sets.
   */
  bool settable;
} VgpuValue;

/*
 Makes a device. On an option that cannot be, returns NULL and says in
 `error` which and why. Free the device with [`vgpu_free`].
 */
VgpuDevice *vgpu_new(const VgpuOptions *options, char (*error)[VGPU_ERROR_SIZE]);

/*
 Frees a device; NULL is allowed.
 */
void vgpu_free(VgpuDevice *device);

/*
 Size of BAR0 in bytes.
 */
uint32_t vgpu_bar0_size(const VgpuDevice *device);

/*
 The guest reads `size` (1 to 4) bytes of config space at `offset`.
 */
uint32_t vgpu_config_read(const VgpuDevice *device, uint32_t offset, uint32_t size);

/*
 The guest writes the low `size` (1 to 4) bytes of `value` to config space
 at `offset`.
 */
VgpuTodo vgpu_config_write(VgpuDevice *device, uint32_t offset, uint32_t size, uint32_t value);

/*
 All of config space as the guest would read it.
 */
void vgpu_config(const VgpuDevice *device, uint8_t (*bytes)[VGPU_CONFIG_SIZE]);

/*
 The bits of config space that the guest may change.
 */
void vgpu_config_write_mask(const VgpuDevice *device, uint8_t (*mask)[VGPU_CONFIG_SIZE]);

/*
 The guest reads `size` bytes of BAR0 at `offset`. Sets `refused` to whether
 the device takes no such access; the value is then 0.
 */
uint64_t vgpu_bar0_read(VgpuDevice *device, uint64_t offset, uint32_t size, bool *refused);

/*
 The guest writes the low `size` bytes of `value` to BAR0 at `offset`. Sets
 `refused` to whether the device takes no such access; nothing is changed
 then.
 */
VgpuTodo vgpu_bar0_write(VgpuDevice *device,
                         uint64_t offset,
                         uint32_t size,
                         uint64_t value,
                         bool *refused);

/*
 Puts the device back to its power-on state, as QEMU does with its own part
 of it. With `settle` it returns when nobody has the guest's memory any more,
 or after a second.
 */
VgpuTodo vgpu_reset(VgpuDevice *device, bool settle);

/*
 The host writes the Status register. Where it is a driver's, returns false, and says so in `error`.
 */
bool vgpu_set_status(VgpuDevice *device, uint32_t status, char (*error)[VGPU_ERROR_SIZE]);

/*
 Saves all guest-visible state.
 */
void vgpu_save(const VgpuDevice *device, VgpuState *state);

/*
 Takes over a saved state, and says in `todo` what QEMU has to do. If it is
 not one of such a device, returns false, says why in `error`, and leaves the
 device as it was.
 */
bool vgpu_restore(VgpuDevice *device,
                  const VgpuState *state,
                  VgpuTodo *todo,
                  char (*error)[VGPU_ERROR_SIZE]);

/*
 Looks for the daemon, where there is to be one and is none, and for ends of workers that no daemon tells of. To be called
 from time to time where there is no daemon, or [`vgpu_is_settling`]. Does not wait.
 */
VgpuTodo vgpu_connect(VgpuDevice *device);

/*
 Whether workers are about to end, which [`vgpu_connect`] finds out.
 */
bool vgpu_is_settling(const VgpuDevice *device);

/*
 The descriptor to watch for what the daemon says, by [`vgpu_hear`]; -1 where there is no daemon. It is open until
 [`vgpu_unwatched`], also where the daemon is gone.
 */
int32_t vgpu_watched(const VgpuDevice *device);

/*
 No descriptor but that of [`vgpu_watched`] is watched for a daemon.
 */
void vgpu_unwatched(VgpuDevice *device);

/*
 Takes what the daemon has said.
 */
VgpuTodo vgpu_hear(VgpuDevice *device);

/*
 The descriptor to watch for [`vgpu_is_raised`]; -1 where there is none.
 */
int32_t vgpu_raised(const VgpuDevice *device);

/*
 Whether vector [`VGPU_VECTOR_CHANNELS`] is to be raised, since it was asked last.
 */
bool vgpu_is_raised(const VgpuDevice *device);

/*
 Whether the guest has asked for something: [`vgpu_work`] does it.
 */
bool vgpu_is_asked(const VgpuDevice *device);

/*
 Does what the guest has asked for, if anything. Where `memory` is NULL, it may share none now, and is told so.
 */
VgpuTodo vgpu_work(VgpuDevice *device,
                   const VgpuMemory *memory);

/*
 Whether somebody has some of the guest's memory, or is about to: the machine cannot be saved or moved.
 */
bool vgpu_is_shared(const VgpuDevice *device);

/*
 Addresses from `first` to `last` are the guest's memory no more. Returns when nobody has it, or after a second.
 */
VgpuTodo vgpu_unmapped(VgpuDevice *device,
                       uint64_t first,
                       uint64_t last);

/*
 A doorbell whose descriptor QEMU has to exchange, if there is one: writes to it then signal it, and no call of the
 device is needed. `before` is open until the next call.
 */
bool vgpu_next_doorbell(VgpuDevice *device,
                        VgpuDoorbell *doorbell);

/*
 The device is unplugged: it has no daemon any more, nor any descriptor. Nothing of them is watched, no doorbell is QEMU's.
 */
void vgpu_detach(VgpuDevice *device);

/*
 The register or counter of this index; NULL after the last one.
 */
const VgpuValue *vgpu_value_at(uint32_t index);

/*
 The host reads a register or a counter.
 */
uint64_t vgpu_value(const VgpuDevice *device, const VgpuValue *value);

#endif  /* VGPU_STUB_H */
