import MIL

public enum MPSGraphFFTScalingMode: UInt, Sendable {
    case none = 0
    case size = 1
    case unitary = 2
}

public class MPSGraphFFTDescriptor: MPSGraphObject {
    public var inverse = false
    public var scalingMode = MPSGraphFFTScalingMode.none
    public var roundToOddHermitean = false
}

@available(*, unavailable)
extension MPSGraphFFTDescriptor: @unchecked Sendable {}

// Fourier transforms of the stand-in: along one of the last four dimensions. Sign and scale are independent of each other.

extension MPSGraph {
    public func fastFourierTransform(
        _ tensor: MPSGraphTensor, axes: [NSNumber], descriptor: MPSGraphFFTDescriptor, name: String?
    ) -> MPSGraphTensor {
        let dtype = type(tensor).dtype
        guard dtype == .float32 || dtype == .complex64 else { graphAbort("the Fourier transform of \(type(tensor))") }
        let axis = axis(axes, tensor)
        return emit(
            descriptor.inverse ? "ifft" : "fft",
            ["x": emit("cast", ["x": tensor, "dtype": "complex64"]), "axis": axis, "norm": norm(descriptor)], name)
    }

    public func realToHermiteanFFT(
        _ tensor: MPSGraphTensor, axes: [NSNumber], descriptor: MPSGraphFFTDescriptor, name: String?
    ) -> MPSGraphTensor {
        let axis = axis(axes, tensor)
        guard type(tensor).dtype == .float32 else { graphAbort("the half transform of \(type(tensor))") }
        let forward = emit("rfft", ["x": tensor, "axis": axis, "norm": norm(descriptor, isForward: true)], name)
        return descriptor.inverse ? emit("conj", ["x": forward], name) : forward
    }

    public func HermiteanToRealFFT(
        _ tensor: MPSGraphTensor, axes: [NSNumber], descriptor: MPSGraphFFTDescriptor, name: String?
    ) -> MPSGraphTensor {
        let axis = axis(axes, tensor)
        guard type(tensor).dtype == .complex64 else { graphAbort("the real transform of \(type(tensor))") }
        let turned = descriptor.inverse ? tensor : emit("conj", ["x": tensor])
        let length = (type(tensor).shape[axis] - 1) * 2 + (descriptor.roundToOddHermitean ? 1 : 0)
        guard length > 0 else { graphAbort("a real transform of nothing") }
        return emit(
            "irfft", ["x": turned, "n": length, "axis": axis, "norm": norm(descriptor, isForward: false)], name)
    }

    private func axis(_ axes: [NSNumber], _ tensor: MPSGraphTensor) -> Int {
        guard axes.count == 1 else { graphAbort("a stand-in's Fourier transform along \(axes.count) axes") }
        checkMinor(axes[0].intValue, tensor, "a Fourier transform")
        return axes[0].intValue
    }

    /// The norm that gives the descriptor's scale in an op that goes forward or back.
    private func norm(_ descriptor: MPSGraphFFTDescriptor, isForward: Bool? = nil) -> String {
        let isForward = isForward ?? !descriptor.inverse
        return switch descriptor.scalingMode {
        case .none: isForward ? "backward" : "forward"
        case .size: isForward ? "forward" : "backward"
        case .unitary: "ortho"
        }
    }
}
