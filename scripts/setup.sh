#!/usr/bin/env bash
# Gets a Debian-like machine ready: Deno from npm, and a software WebGPU device
# where there is no other. Safe to run again; does only what is missing.
#
#   scripts/setup.sh                 what lce needs
#   scripts/setup.sh --swiftshader   also a second software device, for its tests
#   scripts/setup.sh --dawn          also Dawn, for --webgpu dawn
#   scripts/setup.sh --bun           also Bun, for a test
#   scripts/setup.sh --chromium      also Debian's Chromium, for the page's test
#   scripts/setup.sh --mpi           also Open MPI, for lce run --mpi
set -euo pipefail
flags=("$@")

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_updated=
apt_install() {
  if [ -z "$apt_updated" ]; then as_root apt-get -qq update >&2; apt_updated=1; fi
  DEBIAN_FRONTEND=noninteractive as_root apt-get -qq install -y --no-install-recommends "$@" >&2
}

if ! command -v deno > /dev/null; then
  command -v npm > /dev/null || { echo "setup: npm is needed to install Deno" >&2; exit 1; }
  echo "setup: installing Deno from npm" >&2
  npm install --global --silent deno >&2 || as_root npm install --global --silent deno >&2
fi

# A driver announces itself by a file in one of these folders.
if ! ls /usr/share/vulkan/icd.d /etc/vulkan/icd.d 2> /dev/null | grep -q '\.json$'; then
  if [ "$(uname)" = Linux ] && command -v apt-get > /dev/null; then
    echo "setup: no Vulkan driver found, installing Mesa's software driver" >&2
    apt_install mesa-vulkan-drivers libvulkan1
  fi
fi

want() {
  local flag
  for flag in ${flags[@]+"${flags[@]}"}; do [ "$flag" = "$1" ] && return; done
  return 1
}

if want --chromium && ! command -v chromium > /dev/null; then
  echo "setup: installing Debian's Chromium" >&2
  apt_install chromium
fi

swiftshader=${XDG_CACHE_HOME:-$HOME/.cache}/lce/swiftshader
if want --swiftshader && [ ! -f "$swiftshader/vk_swiftshader_icd.json" ]; then
  echo "setup: taking SwiftShader out of Debian's chromium-common" >&2
  as_root apt-get -qq update >&2
  work=$(mktemp -d)
  (cd "$work" && apt-get -qq download chromium-common >&2 && dpkg -x chromium-common_*.deb .)
  mkdir -p "$swiftshader"
  cp "$work"/usr/lib/chromium/libvk_swiftshader.so "$work"/usr/lib/chromium/vk_swiftshader_icd.json "$swiftshader"/
  rm -rf "$work"
fi

dawn=${XDG_CACHE_HOME:-$HOME/.cache}/lce/dawn
if want --dawn && ! grep -qs '"version": "0.6.2"' "$dawn/node_modules/webgpu/package.json"; then
  echo "setup: installing Dawn from npm" >&2
  mkdir -p "$dawn"
  npm install --silent --no-save --prefix "$dawn" webgpu@0.6.2 >&2
fi

bun=${XDG_CACHE_HOME:-$HOME/.cache}/lce/bun
if want --bun && ! command -v bun > /dev/null && [ ! -e "$bun/node_modules/.bin/bun" ]; then
  echo "setup: installing Bun from npm" >&2
  mkdir -p "$bun"
  npm install --silent --no-save --prefix "$bun" bun@1.4.5 >&2
fi

if want --mpi && ! command -v mpirun > /dev/null; then
  echo "setup: installing Open MPI" >&2
  apt_install openmpi-bin libopenmpi3
fi

deno install --quiet --frozen >&2
