// SPDX-License-Identifier: GPL-2.0-only
/* The device's set-up: its handshake, and the commands that make channels and regions. */
#include <linux/delay.h>
#include <linux/jiffies.h>

#include "vgpu.h"

/* How long the host may take: to end a worker takes it a second, and then it does so by force. */
#define VGPU_PATIENCE (5 * HZ)
/* How often the device is asked meanwhile, where its interrupt does not come. */
#define VGPU_ASKED (HZ / 50 + 1)
/* How long workers may take to end whose daemon, or emulator, is gone. */
#define VGPU_ENDS_MS 1000
/* What is read of a device that is not there, or whose emulator is gone. */
#define VGPU_GONE (~0U)

static const struct {
	u16 code;
	int error;
} vgpu_errors[] = {
	{ VGPU_CODE_NOT_READY, -ENOTCONN },
	{ VGPU_CODE_ABSENT, -ENOENT },
	{ VGPU_CODE_LIMIT, -ENOSPC },
	/* A program's own memory may be anything, and be shared already. */
	{ VGPU_CODE_NOT_MEMORY, -EFAULT },
	{ VGPU_CODE_OVERLAP, -EEXIST },
	{ VGPU_CODE_FRAGMENTED, -ENOMEM },
	{ VGPU_CODE_NOT_SHARED, -EPERM },
	{ VGPU_CODE_HOST, -EIO },
};

static int vgpu_error(u32 status)
{
	u16 code = status >> VGPU_STATUS_CODE_SHIFT;
	int i;

	for (i = 0; i < ARRAY_SIZE(vgpu_errors); i++)
		if (vgpu_errors[i].code == code)
			return vgpu_errors[i].error;
	return -EPROTO;
}

#define VGPU_REPLY(field) (VGPU_DATA_REGION + offsetof(struct vgpu_reply, field))

/* Takes the answer to the last request, which has a number behind it where one is asked for. */
static int vgpu_answer(struct vgpu_device *vgpu, u32 status, u32 *number)
{
	if (vgpu_read(vgpu, VGPU_REPLY(request)) != vgpu->request ||
	    vgpu_read(vgpu, VGPU_REPLY(status)) != status)
		return -EPROTO;
	if (status & VGPU_STATUS_ERROR)
		return vgpu_error(status);
	if (!number)
		return 0;
	if (vgpu_read(vgpu, VGPU_REPLY(length)) != sizeof(*number))
		return -EPROTO;
	*number = vgpu_read(vgpu, VGPU_DATA_REGION + sizeof(struct vgpu_reply));
	return 0;
}

/*
 * Has a command done. Parameters are whole words. Where there is no answer, or one that makes no
 * sense, the device has to be started anew: what it has of this guest's memory is not known.
 */
int vgpu_command(struct vgpu_device *vgpu, u32 command, const void *parameters, size_t size,
		 u32 *number)
{
	const __le32 *words = parameters;
	unsigned long end;
	u32 status;
	int error, i;

	lockdep_assert_held(&vgpu->lock);
	status = vgpu_read(vgpu, VGPU_BAR0_STATUS);
	if (status == VGPU_GONE || !(status & VGPU_STATUS_IDLE)) {
		vgpu->started = false;
		return status == VGPU_GONE ? -ENODEV : -ENOTCONN;
	}
	for (i = 0; i < size / sizeof(*words); i++)
		vgpu_write(vgpu, VGPU_DATA_REGION + 4 * i, le32_to_cpu(words[i]));
	reinit_completion(&vgpu->answered);
	vgpu_write(vgpu, VGPU_BAR0_DATA_OFFSET, VGPU_DATA_REGION);
	vgpu_write(vgpu, VGPU_BAR0_DATA_LENGTH, size);
	vgpu_write(vgpu, VGPU_BAR0_REQUEST_ID, ++vgpu->request);
	vgpu_write(vgpu, VGPU_BAR0_COMMAND, command);

	end = jiffies + VGPU_PATIENCE;
	while (!((status = vgpu_read(vgpu, VGPU_BAR0_STATUS)) & VGPU_STATUS_IDLE)) {
		wait_for_completion_timeout(&vgpu->answered, VGPU_ASKED);
		if (vgpu_read(vgpu, VGPU_BAR0_STATE) == VGPU_STATE_READY) {
			if (time_before(jiffies, end))
				continue;
			dev_err(&vgpu->pci->dev, "no answer to command %#x\n", command);
		}
		vgpu->started = false;
		return -ENOTCONN;
	}
	error = status == VGPU_GONE ? -ENODEV : vgpu_answer(vgpu, status, number);
	if (error == -EPROTO)
		dev_err(&vgpu->pci->dev, "command %#x failed with status %#x\n", command, status);
	/* All was lost meanwhile, or it makes no sense. */
	if (error == -EPROTO || vgpu_read(vgpu, VGPU_BAR0_GENERATION) != vgpu->generation)
		vgpu->started = false;
	return error;
}

/* Waits until the host has given up all memory of this guest, and says how it is then. */
static u32 vgpu_give_up(struct vgpu_device *vgpu)
{
	unsigned long end = jiffies + VGPU_PATIENCE;
	u32 state;

	vgpu_write(vgpu, VGPU_BAR0_DRIVER, VGPU_DRIVER_RESET);
	while ((state = vgpu_read(vgpu, VGPU_BAR0_STATE)) == VGPU_STATE_RESETTING &&
	       time_before(jiffies, end))
		usleep_range(1000, 2000);
	return state;
}

/* Ends all sessions, and takes their memory back. */
void vgpu_stop(struct vgpu_device *vgpu)
{
	struct vgpu_session *session;
	u32 state;

	lockdep_assert_held(&vgpu->lock);
	vgpu->started = false;
	list_for_each_entry(session, &vgpu->sessions, list) {
		vgpu_session_forget(session);
		list_splice_tail_init(&session->memory, &vgpu->parked);
	}
	state = vgpu_give_up(vgpu);
	if (list_empty(&vgpu->parked))
		return;
	if (state == VGPU_STATE_RESETTING) {
		dev_err(&vgpu->pci->dev, "the host does not give this guest's memory up\n");
		return;
	}
	if (state != VGPU_STATE_READY)
		msleep(VGPU_ENDS_MS);
	vgpu_memory_free_all(vgpu, &vgpu->parked);
}

static int vgpu_step(struct vgpu_device *vgpu, u32 step)
{
	vgpu_write(vgpu, VGPU_BAR0_DRIVER, step);
	return vgpu_read(vgpu, VGPU_BAR0_DRIVER) == step ? 0 : -EPROTO;
}

/* Settles features, and gives the device its page where the host is ready for that. */
int vgpu_start(struct vgpu_device *vgpu)
{
	struct vgpu_start start = { .page = cpu_to_le64(vgpu->pending_address) };
	u64 features = VGPU_FEATURE_SEGMENT_ADDRESS | VGPU_FEATURE_MSIX;
	int error;

	vgpu_stop(vgpu);
	error = vgpu_step(vgpu, VGPU_DRIVER_PRESENT);
	if (error)
		return error;
	vgpu_write(vgpu, VGPU_BAR0_ACK, lower_32_bits(features));
	vgpu_write(vgpu, VGPU_BAR0_ACK_HIGH, upper_32_bits(features));
	error = vgpu_step(vgpu, VGPU_DRIVER_SETTLED);
	if (!error)
		error = vgpu_step(vgpu, VGPU_DRIVER_RUN);
	if (error)
		return error;
	vgpu->generation = vgpu_read(vgpu, VGPU_BAR0_GENERATION);
	if (vgpu_read(vgpu, VGPU_BAR0_STATE) != VGPU_STATE_READY)
		return -ENOTCONN;
	memset(vgpu->pending, 0, VGPU_SEGMENT_PAGE);
	error = vgpu_command(vgpu, VGPU_COMMAND_START, &start, sizeof(start), NULL);
	vgpu->started = !error;
	return error;
}

/* Sees that channels can be opened. */
int vgpu_ready(struct vgpu_device *vgpu)
{
	if (vgpu->removed)
		return -ENODEV;
	if (vgpu_read(vgpu, VGPU_BAR0_STATE) == VGPU_GONE)
		return -ENODEV;
	if (vgpu_read(vgpu, VGPU_BAR0_STATE) != VGPU_STATE_READY)
		return -ENOTCONN;
	if (vgpu->started && vgpu_read(vgpu, VGPU_BAR0_GENERATION) == vgpu->generation)
		return 0;
	return vgpu_start(vgpu);
}

/* Whether it reads all ones. Nobody then interrupts who waits for it. */
bool vgpu_is_gone(struct vgpu_device *vgpu)
{
	bool gone;

	down_read(&vgpu->access);
	gone = vgpu->bar && vgpu_read(vgpu, VGPU_BAR0_STATE) == VGPU_GONE;
	up_read(&vgpu->access);
	return gone;
}

/* Something has happened to the host, or to a channel: looks which sessions are lost. */
void vgpu_look(struct vgpu_device *vgpu)
{
	bool same = vgpu_read(vgpu, VGPU_BAR0_GENERATION) == vgpu->generation;
	struct vgpu_session *session;

	lockdep_assert_held(&vgpu->lock);
	list_for_each_entry(session, &vgpu->sessions, list) {
		struct vgpu_channel parameters = { .channel = cpu_to_le32(session->channel) };
		u32 served = 0;

		if (session->channel < 0 || session->lost)
			continue;
		if (same)
			vgpu_command(vgpu, VGPU_COMMAND_CHANNEL_STATE, &parameters,
				     sizeof(parameters), &served);
		if (!served)
			vgpu_session_lose(session);
	}
	/* Memory comes back once the device was reset, which need not wait for a program. */
	if (!same)
		vgpu_ready(vgpu);
}
