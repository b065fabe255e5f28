// SPDX-License-Identifier: GPL-2.0-only
/* /dev/vgpuN: an open file is a session with the host. */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vgpu.h"
#include "vgpu_compat.h"

/* How often who waits looks whether there still is a device. */
#define VGPU_LOOKS HZ

/* Nobody serves the channel any more: who waits for it wakes, and no one waits again. */
void vgpu_session_lose(struct vgpu_session *session)
{
	WRITE_ONCE(session->lost, true);
	wake_up_all(&session->wait);
}

static void vgpu_session_place(struct vgpu_session *session, int channel)
{
	struct vgpu_device *vgpu = session->device;

	spin_lock_irq(&vgpu->sessions_lock);
	if (session->channel >= 0)
		vgpu->channels[session->channel] = NULL;
	if (channel >= 0)
		vgpu->channels[channel] = session;
	WRITE_ONCE(session->channel, channel);
	spin_unlock_irq(&vgpu->sessions_lock);
}

/* There is no such channel any more: its number may be another's. */
void vgpu_session_forget(struct vgpu_session *session)
{
	if (session->channel < 0)
		return;
	vgpu_session_place(session, -1);
	vgpu_session_lose(session);
}

/* An interrupt of a channel's. */
void vgpu_session_interrupt(struct vgpu_device *vgpu, unsigned int channel)
{
	struct vgpu_session *session;
	unsigned long flags;

	spin_lock_irqsave(&vgpu->sessions_lock, flags);
	session = vgpu->channels[channel];
	if (session) {
		atomic64_inc(&session->interrupts);
		wake_up_all(&session->wait);
	}
	spin_unlock_irqrestore(&vgpu->sessions_lock, flags);
}

void vgpu_device_release(struct kref *references)
{
	kfree(container_of(references, struct vgpu_device, references));
}

static int vgpu_open(struct inode *inode, struct file *file)
{
	struct vgpu_device *vgpu = container_of(file->private_data, struct vgpu_device, misc);
	struct vgpu_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);

	if (!session)
		return -ENOMEM;
	kref_get(&vgpu->references);
	session->device = vgpu;
	session->channel = -1;
	session->owner = current->files;
	INIT_LIST_HEAD(&session->memory);
	init_waitqueue_head(&session->wait);
	mutex_lock(&vgpu->lock);
	list_add(&session->list, &vgpu->sessions);
	mutex_unlock(&vgpu->lock);
	file->private_data = session;
	return nonseekable_open(inode, file);
}

/* Closes the channel; the memory is free once the host has none of it. */
static void vgpu_session_close(struct vgpu_session *session)
{
	struct vgpu_device *vgpu = session->device;
	struct vgpu_channel parameters = { .channel = cpu_to_le32(session->channel) };
	int error = -ENOTCONN;

	lockdep_assert_held(&vgpu->lock);
	if (session->channel < 0)
		return;
	if (vgpu->started)
		error = vgpu_command(vgpu, VGPU_COMMAND_CHANNEL_CLOSE, &parameters,
				     sizeof(parameters), NULL);
	if (!error || error == -ENOENT)
		vgpu_memory_free_all(vgpu, &session->memory);
	else
		list_splice_tail_init(&session->memory, &vgpu->parked);
	vgpu_session_forget(session);
	/* Where all was lost, the device is started anew, which gives back what is parked. */
	if (!vgpu->started)
		vgpu_ready(vgpu);
}

/*
 * The process that opened it closes it, by its end too: a child that still has the file open has no
 * part in the session.
 */
static int vgpu_flush(struct file *file, fl_owner_t owner)
{
	struct vgpu_session *session = file->private_data;

	if (owner != session->owner)
		return 0;
	mutex_lock(&session->device->lock);
	vgpu_session_close(session);
	mutex_unlock(&session->device->lock);
	return 0;
}

static int vgpu_release(struct inode *inode, struct file *file)
{
	struct vgpu_session *session = file->private_data;
	struct vgpu_device *vgpu = session->device;

	mutex_lock(&vgpu->lock);
	vgpu_session_close(session);
	list_del(&session->list);
	mutex_unlock(&vgpu->lock);
	kfree(session);
	kref_put(&vgpu->references, vgpu_device_release);
	return 0;
}

static int vgpu_info(struct vgpu_device *vgpu, struct vgpu_ioctl_info *info)
{
	int error = -ENODEV;

	down_read(&vgpu->access);
	if (vgpu->bar) {
		*info = (struct vgpu_ioctl_info){
			.features = VGPU_FEATURE_SEGMENT_ADDRESS | VGPU_FEATURE_MSIX,
			.abi = vgpu_read(vgpu, VGPU_BAR0_ABI),
			.limits = vgpu_read(vgpu, VGPU_BAR0_LIMITS),
			.pinned_max = vgpu_read(vgpu, VGPU_BAR0_PINNED_MAX),
			.state = vgpu_read(vgpu, VGPU_BAR0_STATE),
			.generation = vgpu_read(vgpu, VGPU_BAR0_GENERATION),
		};
		error = 0;
	}
	up_read(&vgpu->access);
	return error;
}

/* Whether the session may ask for something of its channel. */
static int vgpu_session_check(const struct vgpu_session *session)
{
	if (session->device->removed)
		return -ENODEV;
	if (session->lost)
		return -EPIPE;
	return session->channel < 0 ? -EINVAL : 0;
}

/* Whether the session may have a channel, or more memory for the one that it has. */
static int vgpu_session_may(const struct vgpu_session *session, bool open)
{
	if (!open)
		return vgpu_session_check(session);
	/* What the host did not give up of others is free then. */
	return session->channel >= 0 || session->lost ? -EBUSY : vgpu_ready(session->device);
}

/*
 * Shares memory, which it takes, as the slice of a channel that it opens, or as another region:
 * both commands have the same parameters, in the same places. Gives the channel, or the region.
 */
static int vgpu_share(struct vgpu_session *session, struct vgpu_memory *memory, bool open)
{
	struct vgpu_device *vgpu = session->device;
	struct vgpu_region_add parameters = {
		.directory = cpu_to_le64(vgpu->directory_address),
		.length = cpu_to_le64(memory->size),
		.channel = cpu_to_le32(open ? 0 : session->channel),
	};
	u32 answer, command = open ? VGPU_COMMAND_CHANNEL_OPEN : VGPU_COMMAND_REGION_ADD;
	int error = vgpu_memory_attach(vgpu, memory);

	if (error) {
		vgpu_memory_free(vgpu, memory);
		return error;
	}
	vgpu_directory_write(vgpu, memory);
	error = vgpu_command(vgpu, command, &parameters, sizeof(parameters), &answer);
	if (!error && answer >= (open ? VGPU_CHANNELS : INT_MAX)) {
		vgpu->started = false;
		error = -EPROTO;
	}
	if (!error) {
		list_add(&memory->list, &session->memory);
		if (open)
			vgpu_session_place(session, answer);
		else
			memory->region = answer;
		return answer;
	}
	/* Else it is not known whether the host has it. */
	if (vgpu->started)
		vgpu_memory_free(vgpu, memory);
	else
		list_add(&memory->list, &vgpu->parked);
	return error;
}

/*
 * Makes and shares memory: new pages, or the program's from an address on. Pages may have to be
 * brought in, so it is made without the lock; and not at all where the device would not take it.
 */
static int vgpu_add(struct vgpu_session *session, u64 address, u64 size, bool open)
{
	struct vgpu_device *vgpu = session->device;
	struct vgpu_memory *memory;
	int result;

	mutex_lock(&vgpu->lock);
	result = vgpu_session_may(session, open);
	if (!result && size > vgpu->memory_max - vgpu->memory)
		result = -ENOSPC;
	if (result)
		goto unlock;
	vgpu->memory += size;
	mutex_unlock(&vgpu->lock);
	memory = address ? vgpu_memory_pin(address, size) : vgpu_memory_make(size);
	mutex_lock(&vgpu->lock);
	result = PTR_ERR_OR_ZERO(memory) ?: vgpu_session_may(session, open);
	if (IS_ERR(memory))
		vgpu->memory -= size;
	else if (result)
		vgpu_memory_free(vgpu, memory);
	else
		result = vgpu_share(session, memory, open);
unlock:
	mutex_unlock(&vgpu->lock);
	return result;
}

static struct vgpu_memory *vgpu_region_find(struct vgpu_session *session, u32 region)
{
	struct vgpu_memory *memory;

	list_for_each_entry(memory, &session->memory, list)
		if (memory->region == region)
			return memory;
	return NULL;
}

static int vgpu_region_delete(struct vgpu_session *session, u32 region)
{
	struct vgpu_device *vgpu = session->device;
	struct vgpu_region parameters = { .region = cpu_to_le32(region) };
	struct vgpu_memory *memory;
	int error;

	mutex_lock(&vgpu->lock);
	error = vgpu_session_check(session);
	memory = region ? vgpu_region_find(session, region) : NULL;
	if (!error && !memory)
		error = -ENOENT;
	parameters.channel = cpu_to_le32(session->channel);
	if (!error)
		error = vgpu_command(vgpu, VGPU_COMMAND_REGION_DELETE, &parameters,
				     sizeof(parameters), NULL);
	if (!error) {
		list_del(&memory->list);
		vgpu_memory_free(vgpu, memory);
	}
	mutex_unlock(&vgpu->lock);
	return error;
}

static int vgpu_kick(struct vgpu_session *session)
{
	struct vgpu_device *vgpu = session->device;
	int channel, error = 0;

	down_read(&vgpu->access);
	channel = READ_ONCE(session->channel);
	if (!vgpu->bar)
		error = -ENODEV;
	else if (READ_ONCE(session->lost))
		error = -EPIPE;
	else if (channel < 0)
		error = -EINVAL;
	else
		vgpu_write(vgpu, VGPU_DOORBELL + 4 * channel, 1);
	up_read(&vgpu->access);
	return error;
}

static bool vgpu_is_woken(struct vgpu_session *session, u64 known)
{
	return READ_ONCE(session->lost) || atomic64_read(&session->interrupts) != known;
}

/* Waits up to so many jiffies; gives 0 where they are over, or why it did not wait for them. */
static long vgpu_wait_for(struct vgpu_session *session, u64 known, long left)
{
	struct vgpu_device *vgpu = session->device;
	long woken = 0;

	while (!woken && left > 0) {
		long part = min_t(long, left, VGPU_LOOKS);

		woken = wait_event_interruptible_timeout(session->wait,
							 vgpu_is_woken(session, known), part);
		if (left != MAX_SCHEDULE_TIMEOUT)
			left -= part;
		if (!woken && vgpu_is_gone(vgpu))
			queue_work(system_freezable_wq, &vgpu->work);
	}
	return woken;
}

static int vgpu_wait(struct vgpu_session *session, struct vgpu_ioctl_wait *wait)
{
	u64 known = wait->interrupts;
	long left = MAX_SCHEDULE_TIMEOUT;

	if (READ_ONCE(session->channel) < 0 && !READ_ONCE(session->lost))
		return -EINVAL;
	if (wait->timeout != VGPU_IOCTL_FOREVER)
		left = min_t(u64, left - 1, nsecs_to_jiffies64(wait->timeout) + 1);
	left = vgpu_wait_for(session, known, left);
	if (left < 0)
		return -EINTR;
	if (READ_ONCE(session->lost))
		return -EPIPE;
	if (!left)
		return -ETIMEDOUT;
	wait->interrupts = atomic64_read(&session->interrupts);
	WRITE_ONCE(session->told, wait->interrupts);
	return 0;
}

static long vgpu_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct vgpu_session *session = file->private_data;
	void __user *user = (void __user *)argument;
	union {
		struct vgpu_ioctl_info info;
		struct vgpu_ioctl_session session;
		struct vgpu_ioctl_region region;
		struct vgpu_ioctl_wait wait;
	} parameter = {};
	size_t size = _IOC_SIZE(command);
	int error;

	if (_IOC_TYPE(command) != VGPU_IOCTL_GROUP || size > sizeof(parameter))
		return -ENOTTY;
	if ((_IOC_DIR(command) & _IOC_WRITE) && copy_from_user(&parameter, user, size))
		return -EFAULT;
	switch (command) {
	case VGPU_IOCTL_INFO:
		error = vgpu_info(session->device, &parameter.info);
		break;
	case VGPU_IOCTL_SESSION:
		error = vgpu_add(session, 0, parameter.session.size, true);
		parameter.session.channel = error;
		break;
	case VGPU_IOCTL_REGION_ADD:
		error = vgpu_add(session, parameter.region.address, parameter.region.size, false);
		parameter.region.region = error;
		break;
	case VGPU_IOCTL_REGION_DELETE:
		error = vgpu_region_delete(session, parameter.region.region);
		break;
	case VGPU_IOCTL_KICK:
		error = vgpu_kick(session);
		break;
	case VGPU_IOCTL_WAIT:
		error = vgpu_wait(session, &parameter.wait);
		break;
	default:
		return -ENOTTY;
	}
	if (error < 0)
		return error;
	if ((_IOC_DIR(command) & _IOC_READ) && copy_to_user(user, &parameter, size))
		return -EFAULT;
	return 0;
}

static int vgpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vgpu_session *session = file->private_data;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct vgpu_memory *memory;
	int error = -EINVAL;

	if (!(vma->vm_flags & VM_SHARED) || lower_32_bits(offset))
		return -EINVAL;
	mutex_lock(&session->device->lock);
	memory = vgpu_region_find(session, offset >> VGPU_IOCTL_REGION_SHIFT);
	if (memory)
		error = vgpu_memory_map(memory, vma);
	mutex_unlock(&session->device->lock);
	return error;
}

static __poll_t vgpu_poll(struct file *file, poll_table *table)
{
	struct vgpu_session *session = file->private_data;

	poll_wait(file, &session->wait, table);
	if (READ_ONCE(session->lost))
		return EPOLLERR | EPOLLHUP;
	if (atomic64_read(&session->interrupts) != READ_ONCE(session->told))
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

const struct file_operations vgpu_operations = {
	.owner = THIS_MODULE,
	.open = vgpu_open,
	.flush = vgpu_flush,
	.release = vgpu_release,
	.unlocked_ioctl = vgpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vgpu_mmap,
	.poll = vgpu_poll,
};
