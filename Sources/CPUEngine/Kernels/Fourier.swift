import CKernels
import MIL

// Fourier transforms: what a length needs is prepared once.

extension CPUKernels {
    static let fourier: [Kernel] = [
        transform("fft", MK_FOURIER_COMPLEX), transform("ifft", MK_FOURIER_COMPLEX),
        transform("rfft", MK_FOURIER_FROM_REAL), transform("irfft", MK_FOURIER_TO_REAL),
    ]

    private static func transform(_ name: String, _ kind: mk_fourier_kind) -> Kernel {
        Kernel(name: name) { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let (x, transform) = (try lowerer.dense(call.id("x"), for: call), try FourierTransform(call))
            let type = try lowerer.function.tensorType(id)
            let output = lowerer.allocate(type.shape, type.dtype)
            lowerer.define(id, output)
            guard output.count > 0 else { return }
            // Roots, and those of the handy length where there is one.
            try lowerer.checkMemory(transform.n * 128)
            let roots = try FourierRoots(transform.n)
            let (outer, size, inner) = split(x.shape, at: transform.axis)
            let isDouble: Int32 = x.dtype == .complex128 || x.dtype == .float64 ? 1 : 0
            let inverse: Int32 = transform.isInverse ? 1 : 0
            lowerer.scratch(mk_fourier_workspace(roots.plan, outer * inner))
            lowerer.emit(
                call, kernel: "fourier", reason: "length \(transform.n), in fp64", reads: [x], writes: [output]
            ) { frame in
                mk_fourier_run(
                    roots.plan, kind, inverse, isDouble, transform.scale, outer, size, inner, frame[x], frame[output],
                    frame.scratch)
            }
        }
    }
}

/// The factors and roots of one length. They never change.
private final class FourierRoots: @unchecked Sendable {
    let plan: OpaquePointer

    init(_ n: Int) throws {
        guard let plan = mk_fourier_make(Int64(n)) else {
            throw Failure(.outOfMemory, "The system has no memory for the roots of a transform of \(n) elements.")
        }
        self.plan = plan
    }

    deinit { mk_fourier_free(plan) }
}
