// SPDX-License-Identifier: GPL-2.0-only
/* The PCI function: found, reset, and gone. */
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/slab.h>

#include "vgpu.h"

#define VGPU_NAME "vgpu"

static DEFINE_IDA(vgpu_numbers);

/* Vector 0: the mailbox has an answer, or the host's state is another. */
static irqreturn_t vgpu_control_interrupt(int irq, void *data)
{
	struct vgpu_device *vgpu = data;
	u32 events = 0;

	down_read(&vgpu->access);
	if (vgpu->bar) {
		events = vgpu_read(vgpu, VGPU_BAR0_EVENTS);
		vgpu_write(vgpu, VGPU_BAR0_EVENTS_ACK, events);
	}
	up_read(&vgpu->access);
	if (events & VGPU_EVENT_MAILBOX)
		complete(&vgpu->answered);
	/* Not while all sleeps: it might start the device, which was stopped for that. */
	if (events & (VGPU_EVENT_STATE | VGPU_EVENT_CHANNEL))
		queue_work(system_freezable_wq, &vgpu->work);
	return IRQ_HANDLED;
}

/* Vector 1: channels say in the device's page that they have something. */
static irqreturn_t vgpu_channels_interrupt(int irq, void *data)
{
	struct vgpu_device *vgpu = data;
	unsigned int word;

	for (word = 0; word < VGPU_PENDING_WORDS; word++) {
		u64 pending = 0;

		if (READ_ONCE(vgpu->pending[word]))
			pending = xchg(&vgpu->pending[word], 0);
		while (pending) {
			vgpu_session_interrupt(vgpu, word * 64 + __ffs64(pending));
			pending &= pending - 1;
		}
	}
	return IRQ_HANDLED;
}

static void vgpu_work(struct work_struct *work)
{
	struct vgpu_device *vgpu = container_of(work, struct vgpu_device, work);

	mutex_lock(&vgpu->lock);
	if (!vgpu->removed)
		vgpu_look(vgpu);
	mutex_unlock(&vgpu->lock);
}

/* Whether this is a device with what the driver needs. */
static int vgpu_check(struct vgpu_device *vgpu)
{
	struct device *device = &vgpu->pci->dev;
	u64 needed = VGPU_FEATURE_SEGMENT_ADDRESS | VGPU_FEATURE_MSIX;
	u64 features;

	if (vgpu_read(vgpu, VGPU_BAR0_MAGIC) != VGPU_MAGIC_VALUE) {
		dev_err(device, "the device has no features: start it with features=on\n");
		return -ENODEV;
	}
	if (vgpu_read(vgpu, VGPU_BAR0_ABI) >> 16 != VGPU_ABI_VERSION >> 16) {
		dev_err(device, "the device is of version %#x, the driver of %#x\n",
			vgpu_read(vgpu, VGPU_BAR0_ABI), VGPU_ABI_VERSION);
		return -ENODEV;
	}
	features = vgpu_read(vgpu, VGPU_BAR0_FEATURES) |
		   (u64)vgpu_read(vgpu, VGPU_BAR0_FEATURES_HIGH) << 32;
	if (~features & needed) {
		dev_err(device, "the device has features %#llx, and %#llx are needed\n", features,
			needed);
		return -ENODEV;
	}
	vgpu->memory_max = (u64)vgpu_read(vgpu, VGPU_BAR0_PINNED_MAX) << 20;
	return 0;
}

/* Goes with the last that the device has of the kernel's, its interrupts before it. */
static void vgpu_put(void *data)
{
	struct vgpu_device *vgpu = data;

	cancel_work_sync(&vgpu->work);
	if (vgpu->number >= 0)
		ida_free(&vgpu_numbers, vgpu->number);
	kref_put(&vgpu->references, vgpu_device_release);
}

static struct vgpu_device *vgpu_new(struct pci_dev *pci)
{
	struct vgpu_device *vgpu = kzalloc(sizeof(*vgpu), GFP_KERNEL);

	if (!vgpu)
		return NULL;
	kref_init(&vgpu->references);
	vgpu->pci = pci;
	mutex_init(&vgpu->lock);
	init_rwsem(&vgpu->access);
	init_completion(&vgpu->answered);
	spin_lock_init(&vgpu->sessions_lock);
	INIT_LIST_HEAD(&vgpu->sessions);
	INIT_LIST_HEAD(&vgpu->parked);
	INIT_WORK(&vgpu->work, vgpu_work);
	vgpu->number = ida_alloc(&vgpu_numbers, GFP_KERNEL);
	snprintf(vgpu->name, sizeof(vgpu->name), VGPU_NAME "%d", vgpu->number);
	vgpu->misc.minor = MISC_DYNAMIC_MINOR;
	vgpu->misc.name = vgpu->name;
	vgpu->misc.fops = &vgpu_operations;
	vgpu->misc.parent = &pci->dev;
	vgpu->misc.mode = 0660;
	pci_set_drvdata(pci, vgpu);
	return vgpu;
}

/* The device's registers, its page, and the directory. */
static int vgpu_map(struct vgpu_device *vgpu)
{
	struct device *device = &vgpu->pci->dev;
	int error = pcim_enable_device(vgpu->pci);

	if (!error)
		error = dma_set_mask_and_coherent(device, DMA_BIT_MASK(64));
	if (!error)
		error = pcim_iomap_regions(vgpu->pci, BIT(0), VGPU_NAME);
	if (error)
		return error;
	vgpu->bar = pcim_iomap_table(vgpu->pci)[0];
	vgpu->pending = dmam_alloc_coherent(device, VGPU_SEGMENT_PAGE, &vgpu->pending_address,
					    GFP_KERNEL);
	vgpu->directory = dmam_alloc_coherent(device, VGPU_DIRECTORY_SIZE, &vgpu->directory_address,
					      GFP_KERNEL);
	return vgpu->pending && vgpu->directory ? 0 : -ENOMEM;
}

static int vgpu_request_interrupts(struct vgpu_device *vgpu)
{
	struct pci_dev *pci = vgpu->pci;
	int error = pci_alloc_irq_vectors(pci, VGPU_VECTORS, VGPU_VECTORS, PCI_IRQ_MSIX);

	if (error < 0)
		return error;
	error = devm_request_threaded_irq(&pci->dev, pci_irq_vector(pci, 0), NULL,
					  vgpu_control_interrupt, IRQF_ONESHOT, vgpu->name, vgpu);
	if (error)
		return error;
	return devm_request_irq(&pci->dev, pci_irq_vector(pci, 1), vgpu_channels_interrupt, 0,
				vgpu->name, vgpu);
}

/* The host gives all memory up, and no program reaches the device any more. */
static void vgpu_end(struct vgpu_device *vgpu)
{
	mutex_lock(&vgpu->lock);
	vgpu->removed = true;
	vgpu_stop(vgpu);
	mutex_unlock(&vgpu->lock);
	pci_clear_master(vgpu->pci);
}

static int vgpu_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct vgpu_device *vgpu = vgpu_new(pci);
	int error;

	if (!vgpu)
		return -ENOMEM;
	error = devm_add_action_or_reset(&pci->dev, vgpu_put, vgpu);
	if (error || vgpu->number < 0)
		return error ?: vgpu->number;
	error = vgpu_map(vgpu);
	if (!error)
		error = vgpu_check(vgpu);
	if (error)
		return error;
	pci_set_master(pci);
	error = vgpu_request_interrupts(vgpu);
	if (error)
		goto failed;
	mutex_lock(&vgpu->lock);
	error = vgpu_start(vgpu);
	mutex_unlock(&vgpu->lock);
	/* Where there is no daemon yet, it may come. */
	if (!error || error == -ENOTCONN)
		error = misc_register(&vgpu->misc);
failed:
	if (error)
		vgpu_end(vgpu);
	else
		dev_info(&pci->dev, "it is /dev/%s\n", vgpu->name);
	return error;
}

static void vgpu_remove(struct pci_dev *pci)
{
	struct vgpu_device *vgpu = pci_get_drvdata(pci);

	misc_deregister(&vgpu->misc);
	vgpu_end(vgpu);
	down_write(&vgpu->access);
	vgpu->bar = NULL;
	up_write(&vgpu->access);
}

/* Another kernel may follow, which must not find the host in its memory. */
static void vgpu_shutdown(struct pci_dev *pci)
{
	vgpu_end(pci_get_drvdata(pci));
}

/* Before a reset of the function, or sleep: nothing of the guest's memory is in use meanwhile. */
static void vgpu_reset_prepare(struct pci_dev *pci)
{
	struct vgpu_device *vgpu = pci_get_drvdata(pci);

	mutex_lock(&vgpu->lock);
	vgpu_stop(vgpu);
	/* Until it is over nobody starts the device. */
	down_write(&vgpu->access);
}

static void vgpu_reset_done(struct pci_dev *pci)
{
	struct vgpu_device *vgpu = pci_get_drvdata(pci);
	int error;

	up_write(&vgpu->access);
	error = vgpu_start(vgpu);
	mutex_unlock(&vgpu->lock);
	if (error && error != -ENOTCONN)
		dev_err(&pci->dev, "it does not start after a reset: %d\n", error);
}

static int __maybe_unused vgpu_suspend(struct device *device)
{
	struct vgpu_device *vgpu = dev_get_drvdata(device);

	mutex_lock(&vgpu->lock);
	vgpu_stop(vgpu);
	mutex_unlock(&vgpu->lock);
	return 0;
}

static int __maybe_unused vgpu_resume(struct device *device)
{
	struct vgpu_device *vgpu = dev_get_drvdata(device);
	int error;

	mutex_lock(&vgpu->lock);
	error = vgpu_start(vgpu);
	mutex_unlock(&vgpu->lock);
	return error == -ENOTCONN ? 0 : error;
}

static SIMPLE_DEV_PM_OPS(vgpu_sleep, vgpu_suspend, vgpu_resume);

static const struct pci_error_handlers vgpu_resets = {
	.reset_prepare = vgpu_reset_prepare,
	.reset_done = vgpu_reset_done,
};

static const struct pci_device_id vgpu_ids[] = {
	{ PCI_DEVICE(VGPU_VENDOR_ID, VGPU_DEVICE_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, vgpu_ids);

static struct pci_driver vgpu_driver = {
	.name = VGPU_NAME,
	.id_table = vgpu_ids,
	.probe = vgpu_probe,
	.remove = vgpu_remove,
	.shutdown = vgpu_shutdown,
	.err_handler = &vgpu_resets,
	.driver.pm = &vgpu_sleep,
};
module_pci_driver(vgpu_driver);

MODULE_DESCRIPTION("Virtual GPU: sessions of programs with their host");
MODULE_AUTHOR("The vgpu project");
MODULE_LICENSE("GPL");
