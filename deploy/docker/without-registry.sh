#!/usr/bin/env bash
# Builds the CPU image with buildah where no registry can be reached: both base images are made of Debian's packages.
# without-registry.sh FOLDER: needs root, buildah and debootstrap; everything is left in FOLDER, the image in its storage.
set -euo pipefail
mkdir -p "$1"
work=$(realpath "$1")
repository=$(realpath "$(dirname "$0")/../..")
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah=(buildah --root "$work/storage" --runroot "$work/runroot")

# The first stage: a small Debian, with the certificates and pip's configuration of this machine.
debootstrap --variant=minbase --include=ca-certificates,python3-pip,python3-venv bookworm "$work/debian" >"$work/debootstrap.log"
cp --dereference /etc/ssl/certs/ca-certificates.crt "$work/debian/etc/ssl/certs/"
for each in /etc/pip.conf /etc/xdg/pip; do
    if [ -e "$each" ]; then mkdir -p "$work/debian$(dirname "$each")" && cp --recursive "$each" "$work/debian$each"; fi
done

# The last stage: Python and its libraries, unpacked.
mkdir -p "$work/packages" "$work/python"/{dev,etc,proc,sys,tmp}
chmod 1777 "$work/python/tmp"
needed=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    python3-minimal libpython3-stdlib libstdc++6 ca-certificates | grep '^[a-z0-9]' | sort --unique \
    | grep --extended-regexp --invert-match '^(debconf.*|cdebconf|perl.*|dpkg|tar|openssl)$')
(cd "$work/packages" && apt-get download --quiet --quiet $needed 2>"$work/download.log")
for each in "$work/packages"/*.deb; do dpkg --extract "$each" "$work/python"; done
printf 'root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n' >"$work/python/etc/passwd"

for each in debian python; do
    printf 'FROM scratch\nCOPY . /\n' | "${buildah[@]}" build --quiet --tag "localhost/$each" --file - "$work/$each"
done
"${buildah[@]}" build --format docker --tag localhost/ddim-edge:cpu --file "$repository/deploy/docker/cpu.Dockerfile" \
    --build-arg BUILD_BASE=localhost/debian --build-arg BASE=localhost/python "$repository"
