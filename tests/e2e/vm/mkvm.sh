#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mkvm.sh: makes a stock Debian 12 (its own cloud kernel, systemd, cgroup v2 alone) for vm.py to boot under qemu, in the
# cache. The last line of its output is the folder with vmlinuz, initrd.gz and root.img. Instant when they are there. Needs
# root, for debootstrap. Nothing is installed on this machine.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${GRIDLET_CACHE:-$HOME/.cache/gridlet}
SUITE=bookworm
DISK_SIZE=4G

# What gridlet's programs link to, what they call, and a systemd to run them under.
PACKAGES=(
    systemd systemd-sysv dbus udev kmod nftables iproute2 busybox-static apparmor ca-certificates
    libuv1 libnghttp2-14 libprotobuf-c1 libyajl2 libseccomp2 libcap2 libarchive13 libmnl0 libisal2
    libcurl4 libssl3 libsqlite3-0 libyaml-0-2 libhiredis0.14 zlib1g libzstd1 libs3-2 procps strace
)
# Loaded by the initrd, in this order, to find the disk; ext4 is built in.
BOOT_MODULES=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk)
# Units that would only cost boot time.
MASKED=(
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
    getty@tty1.service serial-getty@ttyS0.service systemd-networkd-wait-online.service apparmor.service
    getty-static.service modprobe@dm_mod.service modprobe@efi_pstore.service modprobe@drm.service
)

say() { printf 'vm: %s\n' "$*" >&2; }

latest_kernel() {
    apt-cache search --names-only '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' | cut -d' ' -f1 | sort -V | tail -n 1
}

# The mirror that this machine's apt uses for the suite, and its proxy.
mirror() {
    apt-get indextargets --format "\$(REPO_URI) \$(CODENAME)" 'Created-By: Packages' |
        sed -n "s/ $SUITE\$//p" | head -n 1
}

use_apt_proxy() {
    local proxy
    proxy=$(apt-config shell value Acquire::http::Proxy | sed -n "s/^value='\(.*\)'\$/\1/p")
    [ -z "$proxy" ] || export http_proxy=$proxy
}

unpack_kernel() {
    local package=$1 dir=$2
    say "getting $package"
    mkdir -p "$dir"
    (cd "$dir" && apt-get -q -q -o APT::Sandbox::User=root download "$package" >&2 && dpkg-deb -x ./*.deb .)
}

make_initrd() {
    local modules=$1 out=$2 dir name
    dir=$(mktemp -d)
    mkdir -p "$dir"/{bin,dev,proc,sys,root,modules}
    cp /bin/busybox "$dir/bin/busybox"
    ln -s busybox "$dir/bin/sh"
    for name in "${BOOT_MODULES[@]}"; do
        find "$modules" -name "$name.ko" -exec cp {} "$dir/modules/" \;
    done
    {
        cat <<'INIT'
#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
INIT
        printf 'insmod /modules/%s.ko\n' "${BOOT_MODULES[@]}"
        cat <<'INIT'
n=0
until [ -b /dev/vda ] || [ $n = 200 ]; do
    sleep 0.05
    n=$((n + 1))
done
mount -t ext4 /dev/vda /root
umount /dev
exec switch_root /root /sbin/init
INIT
    } >"$dir/init"
    chmod 0755 "$dir/init"
    (cd "$dir" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -9 >"$out"
    rm -rf "$dir"
}

bootstrap() {
    local root=$1 list
    list=$(IFS=,; printf '%s' "${PACKAGES[*]}")
    say "debootstrap $SUITE with ${#PACKAGES[@]} packages"
    use_apt_proxy
    nice debootstrap --variant=minbase --include="$list" "$SUITE" "$root" "$(mirror)" >"$root.log" ||
        { tail -n 20 "$root.log" >&2 && return 1; }
}

slim_down() {
    local root=$1
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info}/* \
        "$root"/var/log/*.log "$root"/usr/lib/x86_64-linux-gnu/perl*
}

configure() {
    local root=$1 unit
    printf 'gridlet-vm\n' >"$root/etc/hostname"
    printf '127.0.0.1 localhost gridlet-vm\n' >"$root/etc/hosts"
    printf 'nameserver 10.0.2.3\n' >"$root/etc/resolv.conf"
    printf '/dev/vda / ext4 defaults 0 0\n' >"$root/etc/fstab"
    printf '0123456789abcdef0123456789abcdef\n' >"$root/etc/machine-id"
    mkdir -p "$root/payload" "$root/etc/systemd/system/systemd-udev-trigger.service.d" "$root/etc/systemd/journald.conf.d" "$root/usr/local/lib"
    printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/vm.conf"
    # A stock machine triggers every device, which loads dozens of modules that a test does not need.
    printf '[Service]\nExecStart=\nExecStart=-udevadm trigger --action=add %s\n' \
        '--subsystem-match=block --subsystem-match=net --subsystem-match=virtio --subsystem-match=virtio-ports' \
        >"$root/etc/systemd/system/systemd-udev-trigger.service.d/vm.conf"
    printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$root/etc/systemd/network/eth0.network"
    ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    install -m 0755 "$here/agent.sh" "$root/usr/local/lib/vm-agent"
    install -m 0644 "$here/agent.service" "$root/etc/systemd/system/vm-agent.service"
    for unit in "${MASKED[@]}"; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    chroot "$root" systemctl --quiet enable vm-agent.service systemd-networkd.service
    # Newer than /usr, these two say that no first-boot work is due.
    touch "$root/etc/.updated" "$root/var/.updated"
}

build() {
    local package=$1 out=$2 version
    tmp=$(mktemp -d "$CACHE/vm/build.XXXXXX")
    trap 'rm -rf --one-file-system "$tmp"' EXIT
    unpack_kernel "$package" "$tmp/kernel"
    version=$(ls "$tmp/kernel/lib/modules")
    bootstrap "$tmp/root"
    cp -a "$tmp/kernel/lib/modules" "$tmp/root/usr/lib/"
    depmod -b "$tmp/root" "$version"
    slim_down "$tmp/root"
    configure "$tmp/root"
    mkdir "$tmp/vm"
    cp "$tmp/kernel/boot/vmlinuz-$version" "$tmp/vm/vmlinuz"
    make_initrd "$tmp/kernel/lib/modules" "$tmp/vm/initrd.gz"
    say "making the disk"
    truncate -s "$DISK_SIZE" "$tmp/vm/root.img"
    mkfs.ext4 -q -F -L root -E lazy_itable_init=1 -d "$tmp/root" "$tmp/vm/root.img"
    printf '%s\n' "$version" >"$tmp/vm/version"
    mv "$tmp/vm" "$out"
}

main() {
    local package out key
    mkdir -p "$CACHE/vm"
    exec 9>"$CACHE/vm/.lock"
    flock 9
    package=$(latest_kernel)
    [ -n "$package" ] || { say "apt knows no linux-image-6.1.0-*-cloud-amd64: is this Debian 12, and are its lists there?" && exit 1; }
    key=$(cat "$here"/{mkvm.sh,agent.sh,agent.service} | sha256sum | cut -c1-12)
    out=$CACHE/vm/${package#linux-image-}-$key
    [ -f "$out/version" ] || build "$package" "$out"
    printf '%s\n' "$out"
}

main "$@"
