#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Fourier transforms along one axis. MPSGraph transforms along the last four dimensions.

    extension MetalLowerings {
        static let fourier: [Lowering] = [
            transform("fft") { x, transform, axis, descriptor in
                x.graph.fastFourierTransform(
                    x.resized(transform.n, along: axis).tensor, axes: [axis].numbers, descriptor: descriptor, name: nil)
            },
            transform("ifft") { x, transform, axis, descriptor in
                x.graph.fastFourierTransform(
                    x.resized(transform.n, along: axis).tensor, axes: [axis].numbers, descriptor: descriptor, name: nil)
            },
            transform("rfft") { x, transform, axis, descriptor in
                x.graph.realToHermiteanFFT(
                    x.resized(transform.n, along: axis).tensor, axes: [axis].numbers, descriptor: descriptor, name: nil)
            },
            transform("irfft") { x, transform, axis, descriptor in
                descriptor.roundToOddHermitean = transform.n % 2 == 1
                let half = x.resized(transform.n / 2 + 1, along: axis).hermitian(transform.n, along: axis)
                return x.graph.HermiteanToRealFFT(
                    half.tensor, axes: [axis].numbers, descriptor: descriptor, name: nil)
            },
        ]

        private static func transform(
            _ name: String,
            _ apply: @escaping @Sendable (Term, FourierTransform, _ axis: Int, MPSGraphFFTDescriptor) -> MPSGraphTensor
        ) -> Lowering {
            Lowering(name, [.float32, .complex64]) { call, builder in
                let (x, transform) = (try builder.term("x", call), try FourierTransform(call))
                let descriptor = MPSGraphFFTDescriptor()
                descriptor.inverse = transform.isInverse
                descriptor.scalingMode = scaling(transform)
                let type = try call.function.tensorType(call.operation.outputs[0])
                if x.sizes.count <= Term.minorDimensions {
                    return [apply(x, transform, transform.axis, descriptor)]
                }
                let rows = x.flat(around: transform.axis)
                return [Term(apply(rows, transform, 1, descriptor), x.graph).reshaped(type.shape).tensor]
            }
        }

        private static func scaling(_ transform: FourierTransform) -> MPSGraphFFTScalingMode {
            if transform.scale == 1 { return .none }
            return transform.scale == 1 / Double(transform.n) ? .size : .unitary
        }
    }

    extension Term {
        /// Cut, or filled up with 0, to a length along an axis; complex numbers by their parts.
        fileprivate func resized(_ length: Int, along axis: Int) -> Term {
            let missing = length - sizes[axis]
            if missing == 0 { return self }
            if isComplex {
                let parts = Parts(self)
                return Parts(parts.re.resized(length, along: axis), parts.im.resized(length, along: axis)).joined
            }
            guard missing > 0 else {
                return Term(
                    graph.sliceTensor(tensor, dimension: axis, start: 0, length: length, name: nil), graph)
            }
            let none = sizes.map { _ in 0 }
            var behind = none
            behind[axis] = missing
            return padded(before: none, after: behind, with: 0)
        }

        /// Without the imaginary parts that the spectrum of n real numbers cannot have: of its first number, and of the one
        /// in the middle. What MPSGraph would make of them is not said.
        fileprivate func hermitian(_ n: Int, along axis: Int) -> Term {
            let parts = Parts(self)
            var factors = Array(repeating: Float(1), count: n / 2 + 1)
            factors[0] = 0
            if n % 2 == 0 { factors[n / 2] = 0 }
            let shape = sizes.indices.map { $0 == axis ? factors.count : 1 }
            let mask = graph.constant(
                factors.withUnsafeBytes { Data($0) }, shape: shape.numbers, dataType: .float32)
            let isFree = Term(mask, graph) != 0
            return Parts(parts.re, isFree.choose(parts.im, 0)).joined
        }
    }
#endif
