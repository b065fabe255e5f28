/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What a guest's driver and the virtual GPU share. Made of the crate vgpu-abi,
 * which explains it: do not edit.
 */
#ifndef VGPU_UAPI_H
#define VGPU_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The device. */
#define VGPU_VENDOR_ID 0x1af4
#define VGPU_DEVICE_ID 0x1111

/* Offsets in BAR0. */
#define VGPU_BAR0_COMMAND 0x0
#define VGPU_BAR0_STATUS 0x4
#define VGPU_BAR0_DATA_OFFSET 0x8
#define VGPU_BAR0_DATA_LENGTH 0xc
#define VGPU_BAR0_REQUEST_ID 0x10
#define VGPU_BAR0_MAGIC 0x400
#define VGPU_BAR0_ABI 0x404
#define VGPU_BAR0_FEATURES 0x408
#define VGPU_BAR0_FEATURES_HIGH 0x40c
#define VGPU_BAR0_ACK 0x410
#define VGPU_BAR0_ACK_HIGH 0x414
#define VGPU_BAR0_DRIVER 0x418
#define VGPU_BAR0_STATE 0x41c
#define VGPU_BAR0_GENERATION 0x420
#define VGPU_BAR0_LIMITS 0x424
#define VGPU_BAR0_PINNED_MAX 0x428
#define VGPU_BAR0_PEER 0x42c
#define VGPU_BAR0_EVENTS 0x430
#define VGPU_BAR0_EVENTS_ACK 0x434

/* Values and sizes. */
#define VGPU_MAGIC_VALUE 0x55504756
#define VGPU_ABI_VERSION 0x10000
#define VGPU_NO_PEER 0xffff
#define VGPU_VECTORS 0x2
#define VGPU_CHANNELS 0x100
#define VGPU_DATA_REGION 0x20
#define VGPU_DOORBELL 0x800

/* Bits of FEATURES and ACK. */
#define VGPU_FEATURE_SEGMENT_ADDRESS 0x1
#define VGPU_FEATURE_SEGMENT_GRANT 0x2
#define VGPU_FEATURE_MSIX 0x4
#define VGPU_FEATURE_EVENT_CHANNEL 0x8
#define VGPU_FEATURE_TIMELINE 0x40

/* Values of DRIVER. */
#define VGPU_DRIVER_RESET 0x0
#define VGPU_DRIVER_PRESENT 0x1
#define VGPU_DRIVER_SETTLED 0x2
#define VGPU_DRIVER_RUN 0x3

/* Values of STATE. */
#define VGPU_STATE_NO_DAEMON 0x0
#define VGPU_STATE_READY 0x1
#define VGPU_STATE_RESETTING 0x2
#define VGPU_STATE_LOST 0x3

/* Bits of EVENTS. */
#define VGPU_EVENT_MAILBOX 0x1
#define VGPU_EVENT_STATE 0x2
#define VGPU_EVENT_CHANNEL 0x4

/* Commands of the mailbox. */
#define VGPU_COMMAND_ECHO 0x1
#define VGPU_COMMAND_INFO 0x2
#define VGPU_COMMAND_START 0x10
#define VGPU_COMMAND_STOP 0x11
#define VGPU_COMMAND_CHANNEL_OPEN 0x20
#define VGPU_COMMAND_CHANNEL_CLOSE 0x21
#define VGPU_COMMAND_CHANNEL_STATE 0x22
#define VGPU_COMMAND_REGION_ADD 0x30
#define VGPU_COMMAND_REGION_DELETE 0x31

/* Bits of Status. */
#define VGPU_STATUS_IDLE 0x1
#define VGPU_STATUS_DONE 0x2
#define VGPU_STATUS_ERROR 0x4
#define VGPU_STATUS_CODE_SHIFT 0x10

/* How a command failed. */
#define VGPU_CODE_UNKNOWN 0x1
#define VGPU_CODE_PARAMETERS 0x2
#define VGPU_CODE_NOT_READY 0x3
#define VGPU_CODE_ABSENT 0x4
#define VGPU_CODE_LIMIT 0x5
#define VGPU_CODE_DIRECTORY 0x6
#define VGPU_CODE_NOT_MEMORY 0x7
#define VGPU_CODE_OVERLAP 0x8
#define VGPU_CODE_FRAGMENTED 0x9
#define VGPU_CODE_NOT_SHARED 0xa
#define VGPU_CODE_HOST 0xb

/* Segments. */
#define VGPU_SEGMENT_PAGE 0x1000
#define VGPU_SEGMENT_MAGIC 0x55504756
#define VGPU_SEGMENT_ORDER_BITS 0xc
#define VGPU_SEGMENT_ORDER_MAX 0x12
#define VGPU_SEGMENT_PER_PAGE 0x1fe
#define VGPU_SEGMENT_PIECES_MAX 0x4000
#define VGPU_SEGMENT_PAGES_MAX 0x21

/* What programs ask of the driver. */
#define VGPU_IOCTL_GROUP 0xbc
#define VGPU_IOCTL_REGION_SHIFT 0x20
#define VGPU_IOCTL_FOREVER 0xffffffffffffffffULL

struct vgpu_reply {
	__le32 request;
	__le32 status;
	__le32 length;
	__le32 reserved;
};

struct vgpu_info {
	__le32 abi;
	__le32 limits;
	__le64 features;
	__le32 pinned_max;
	__le32 state;
	__le32 generation;
	__le32 peer;
};

struct vgpu_start {
	__le64 page;
};

struct vgpu_channel_open {
	__le64 directory;
	__le64 length;
	__le32 port;
	__le32 reserved;
};

struct vgpu_channel {
	__le32 channel;
};

struct vgpu_region_add {
	__le64 directory;
	__le64 length;
	__le32 channel;
	__le32 reserved;
};

struct vgpu_region {
	__le32 channel;
	__le32 region;
};

struct vgpu_directory {
	__le32 magic;
	__le32 count;
	__le64 next;
};

struct vgpu_ioctl_info {
	__u64 features;
	__u32 abi;
	__u32 limits;
	__u32 pinned_max;
	__u32 state;
	__u32 generation;
	__u32 reserved;
};

struct vgpu_ioctl_session {
	__u64 size;
	__u32 channel;
	__u32 reserved;
};

struct vgpu_ioctl_region {
	__u64 size;
	__u64 address;
	__u32 region;
	__u32 reserved;
};

struct vgpu_ioctl_wait {
	__u64 interrupts;
	__u64 timeout;
};

#define VGPU_IOCTL_INFO _IOR(VGPU_IOCTL_GROUP, 0, struct vgpu_ioctl_info)
#define VGPU_IOCTL_SESSION _IOWR(VGPU_IOCTL_GROUP, 1, struct vgpu_ioctl_session)
#define VGPU_IOCTL_REGION_ADD _IOWR(VGPU_IOCTL_GROUP, 2, struct vgpu_ioctl_region)
#define VGPU_IOCTL_REGION_DELETE _IOW(VGPU_IOCTL_GROUP, 3, struct vgpu_ioctl_region)
#define VGPU_IOCTL_KICK _IO(VGPU_IOCTL_GROUP, 4)
#define VGPU_IOCTL_WAIT _IOWR(VGPU_IOCTL_GROUP, 5, struct vgpu_ioctl_wait)

#endif
