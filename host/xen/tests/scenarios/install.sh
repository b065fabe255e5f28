# The program, as a package installs it.
cp /host/vgpu-stub /usr/bin/vgpu-stub && chmod 755 /usr/bin/vgpu-stub
mkdir -p /usr/lib/vgpu-stub
ln -s /usr/bin/vgpu-stub /usr/lib/vgpu-stub/vgpu-stub-device-model
