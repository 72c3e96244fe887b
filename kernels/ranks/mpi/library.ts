/**
 * Open MPI's C library through Deno's FFI: the functions that ranks need, by
 * their names in the MPI standard (version 3.1), and the handles, which Open MPI
 * has as symbols of its library.
 *
 * Every call returns at once: what takes time has a request, which is asked for
 * its end. So one thread does all, and a rank that waits can still look at the clock.
 *
 * @module
 */
import { MpiError } from "../errors.ts";

const INT = "i32";
const BYTES = "buffer";
const HANDLE = "pointer";

/** Functions, by what they take; each returns an error code, 0 where there is none. */
const FUNCTIONS = {
  MPI_Init: { parameters: [HANDLE, HANDLE], result: INT },
  MPI_Finalize: { parameters: [], result: INT },
  MPI_Abort: { parameters: [HANDLE, INT], result: INT },
  MPI_Get_library_version: { parameters: [BYTES, BYTES], result: INT },
  MPI_Error_string: { parameters: [INT, BYTES, BYTES], result: INT },
  MPI_Comm_set_errhandler: { parameters: [HANDLE, HANDLE], result: INT },
  MPI_Comm_set_name: { parameters: [HANDLE, BYTES], result: INT },
  MPI_Comm_rank: { parameters: [HANDLE, BYTES], result: INT },
  MPI_Comm_size: { parameters: [HANDLE, BYTES], result: INT },
  MPI_Comm_split: { parameters: [HANDLE, INT, INT, BYTES], result: INT },
  MPI_Comm_free: { parameters: [BYTES], result: INT },
  MPI_Iallreduce: { parameters: [BYTES, BYTES, INT, HANDLE, HANDLE, HANDLE, BYTES], result: INT },
  MPI_Ireduce_scatter_block: {
    parameters: [BYTES, BYTES, INT, HANDLE, HANDLE, HANDLE, BYTES],
    result: INT,
  },
  MPI_Iallgather: {
    parameters: [BYTES, INT, HANDLE, BYTES, INT, HANDLE, HANDLE, BYTES],
    result: INT,
  },
  MPI_Isend: { parameters: [BYTES, INT, HANDLE, INT, INT, HANDLE, BYTES], result: INT },
  MPI_Irecv: { parameters: [BYTES, INT, HANDLE, INT, INT, HANDLE, BYTES], result: INT },
  MPI_Iprobe: { parameters: [INT, INT, HANDLE, BYTES, HANDLE], result: INT },
  MPI_Test: { parameters: [BYTES, BYTES, HANDLE], result: INT },
} as const;

/** Handles: the addresses of these symbols. */
const HANDLES = {
  ompi_mpi_comm_world: { type: HANDLE },
  ompi_mpi_errors_return: { type: HANDLE },
  ompi_mpi_byte: { type: HANDLE },
  ompi_mpi_float: { type: HANDLE },
  ompi_mpi_unsigned: { type: HANDLE },
  ompi_mpi_op_max: { type: HANDLE },
  ompi_mpi_op_min: { type: HANDLE },
  ompi_mpi_op_sum: { type: HANDLE },
} as const;

/** Bytes of the longest text that MPI gives; Open MPI's limit is 256. */
const TEXT_BYTES = 512;

/** A handle of the library. */
export type Handle = Deno.PointerValue;

/** The library, loaded. */
export type Mpi = ReturnType<typeof load>;

/** The version of Open MPI's binary interface that the handles above are of: 2.0 to 5.0 have it. */
const LIBRARY = "libmpi.so.40";

/**
 * Loads Open MPI.
 *
 * @param env what launchers say of themselves.
 * @throws {MpiError} when it is not installed, or another MPI started this process.
 */
export function openMpi(env: (name: string) => string | undefined): Mpi {
  const size = env("OMPI_COMM_WORLD_SIZE");
  // Hydra, MPICH's launcher, and those of its relatives say so; here each rank would be alone.
  if (size === undefined && env("PMI_SIZE") !== undefined) {
    throw new MpiError(
      "--mpi: MPICH or a relative of it started this process (PMI_SIZE is set), but lce knows only Open MPI's binary interface: start it by Open MPI's mpirun",
    );
  }
  let mpi: Mpi;
  try {
    mpi = load();
  } catch (error) {
    throw new MpiError(
      `--mpi: cannot load Open MPI, ${LIBRARY} (${
        (error as Error).message
      }): scripts/setup.sh --mpi installs it on Debian`,
    );
  }
  const version = libraryVersion(mpi);
  if (!version.startsWith("Open MPI")) {
    throw new MpiError(`--mpi: ${LIBRARY} is ${version}, not Open MPI`);
  }
  return mpi;
}

function load() {
  return Deno.dlopen(LIBRARY, { ...FUNCTIONS, ...HANDLES }).symbols;
}

/** Returns what the library says that it is, on its first line. */
export function libraryVersion(mpi: Mpi): string {
  return text((into, length) => mpi.MPI_Get_library_version(into, length)).split(",")[0]!;
}

/** @throws {MpiError} where a call returned an error. */
export function check(mpi: Mpi, what: string, code: number): void {
  if (code === 0) return;
  const reason = text((into, length) => mpi.MPI_Error_string(code, into, length));
  throw new MpiError(`MPI reports of ${what}: ${reason}`);
}

/** Returns memory that stays where it is while MPI writes into it: an array's own may be moved. */
export function fixed(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes));
}

function text(
  write: (into: Uint8Array<ArrayBuffer>, length: Int32Array<ArrayBuffer>) => void,
): string {
  const into = fixed(TEXT_BYTES);
  const length = new Int32Array(new ArrayBuffer(4));
  write(into, length);
  return new TextDecoder().decode(into.subarray(0, length[0])).replace(/\0+$/, "");
}
