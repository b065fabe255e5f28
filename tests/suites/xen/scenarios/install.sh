# The programs, as a package installs them.
mkdir -p /usr/lib/vgpu-stub
cp /host/vgpu-stub /usr/bin/vgpu-stub
cp /host/vgpu-emulator /usr/lib/vgpu-stub/vgpu-emulator
chmod 755 /usr/bin/vgpu-stub /usr/lib/vgpu-stub/vgpu-emulator
ln -s /usr/bin/vgpu-stub /usr/lib/vgpu-stub/vgpu-stub-device-model
