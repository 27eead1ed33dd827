import MIL

// Convolutions and poolings, by channels before rows and with pads that are said.

public enum MPSGraphTensorNamedDataLayout: UInt, Sendable {
    case NCHW = 0
    case NHWC = 1
    case OIHW = 2
    case HWIO = 3
    case CHW = 4
    case HWC = 5
    case HW = 6
    case NCDHW = 7
    case NDHWC = 8
    case OIDHW = 9
    case DHWIO = 10
}

public enum MPSGraphPaddingStyle: UInt, Sendable {
    case explicit = 0
    case TF_VALID = 1
    case TF_SAME = 2
    case explicitOffset = 3
    case ONNX_SAME_LOWER = 4
}

public class MPSGraphConvolution2DOpDescriptor: MPSGraphObject {
    public var strideInX = 1
    public var strideInY = 1
    public var dilationRateInX = 1
    public var dilationRateInY = 1
    public var groups = 1
    public var paddingLeft = 0
    public var paddingRight = 0
    public var paddingTop = 0
    public var paddingBottom = 0
    public var paddingStyle = MPSGraphPaddingStyle.explicit
    public var dataLayout = MPSGraphTensorNamedDataLayout.NCHW
    public var weightsLayout = MPSGraphTensorNamedDataLayout.OIHW

    public override init() {}

    public convenience init?(
        strideInX: Int, strideInY: Int, dilationRateInX: Int, dilationRateInY: Int, groups: Int, paddingLeft: Int,
        paddingRight: Int, paddingTop: Int, paddingBottom: Int, paddingStyle: MPSGraphPaddingStyle,
        dataLayout: MPSGraphTensorNamedDataLayout, weightsLayout: MPSGraphTensorNamedDataLayout
    ) {
        self.init()
        (self.strideInX, self.strideInY) = (strideInX, strideInY)
        (self.dilationRateInX, self.dilationRateInY, self.groups) = (dilationRateInX, dilationRateInY, groups)
        (self.paddingLeft, self.paddingRight) = (paddingLeft, paddingRight)
        (self.paddingTop, self.paddingBottom, self.paddingStyle) = (paddingTop, paddingBottom, paddingStyle)
        (self.dataLayout, self.weightsLayout) = (dataLayout, weightsLayout)
    }

    fileprivate var window: StandWindow {
        guard paddingStyle == .explicit, dataLayout == .NCHW, weightsLayout == .OIHW else {
            graphAbort("a convolution of \(dataLayout), \(weightsLayout), \(paddingStyle), which no stand-in plays")
        }
        return StandWindow(
            strides: [strideInY, strideInX], dilations: [dilationRateInY, dilationRateInX],
            pads: [paddingTop, paddingBottom, paddingLeft, paddingRight], groups: groups)
    }
}

public class MPSGraphPooling4DOpDescriptor: MPSGraphObject {
    public var kernelSizes: [NSNumber] = []
    public var strides: [NSNumber] = []
    public var dilationRates: [NSNumber] = []
    public var paddingValues: [NSNumber] = []
    public var paddingStyle = MPSGraphPaddingStyle.explicit
    public var ceilMode = false
    public var includeZeroPadToAverage = false

    public override init() {}

    public convenience init?(
        kernelSizes: [NSNumber], strides: [NSNumber], dilationRates: [NSNumber], paddingValues: [NSNumber],
        paddingStyle: MPSGraphPaddingStyle
    ) {
        self.init()
        (self.kernelSizes, self.strides, self.dilationRates) = (kernelSizes, strides, dilationRates)
        (self.paddingValues, self.paddingStyle) = (paddingValues, paddingStyle)
    }
}

@available(*, unavailable)
extension MPSGraphConvolution2DOpDescriptor: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphPooling4DOpDescriptor: @unchecked Sendable {}

/// What the descriptors say, one number an axis, pads before and after each axis in turn.
private struct StandWindow {
    let strides: [Int]
    let dilations: [Int]
    let pads: [Int]
    let groups: Int
}

extension MPSGraph {
    public func convolution2D(
        _ source: MPSGraphTensor, weights: MPSGraphTensor, descriptor: MPSGraphConvolution2DOpDescriptor, name: String?
    ) -> MPSGraphTensor { convolution(source, weights, descriptor.window, name) }

    public func convolutionTranspose2D(
        _ source: MPSGraphTensor, weights: MPSGraphTensor, outputShape: [NSNumber],
        descriptor: MPSGraphConvolution2DOpDescriptor, name: String?
    ) -> MPSGraphTensor { dataGradient(source, weights, outputShape.map(\.intValue), descriptor.window, name) }

    private func check(_ source: MPSGraphTensor, _ weights: MPSGraphTensor, _ window: StandWindow) {
        let (x, filters, rank) = (type(source), type(weights), window.strides.count + 2)
        guard x.rank == rank, filters.rank == rank, x.dtype == filters.dtype, x.dtype.isFloat else {
            graphAbort("a convolution of \(x) with weights \(filters)")
        }
        // What PyTorch's issues 188335 and 129207 found on Macs.
        guard filters.shape[2...].allSatisfy({ $0 < 256 }), filters.shape[0] <= 1 << 16 else {
            graphAbort("weights of \(filters), with which the results are wrong")
        }
        guard (window.strides + window.dilations + [window.groups]).allSatisfy({ $0 > 0 }),
            window.pads.allSatisfy({ $0 >= 0 })
        else { graphAbort("a convolution with strides \(window.strides), pads \(window.pads)") }
    }

    private func convolution(
        _ source: MPSGraphTensor, _ weights: MPSGraphTensor, _ window: StandWindow, _ name: String?
    ) -> MPSGraphTensor {
        check(source, weights, window)
        return emit(
            "conv",
            [
                "x": source, "weight": weights, "strides": window.strides, "pad_type": "custom", "pad": window.pads,
                "dilations": window.dilations, "groups": window.groups,
            ], name)
    }

    /// The gradient of a convolution with respect to its source, which is the transposed convolution.
    private func dataGradient(
        _ source: MPSGraphTensor, _ weights: MPSGraphTensor, _ shape: [Int], _ window: StandWindow, _ name: String?
    ) -> MPSGraphTensor {
        check(source, weights, window)
        let (sizes, kernel) = (type(source).shape, type(weights).shape)
        for axis in window.strides.indices {
            let reach = (kernel[axis + 2] - 1) * window.dilations[axis] + 1
            let padded = shape[axis + 2] + window.pads[2 * axis] + window.pads[2 * axis + 1]
            // The convolution of a result of this shape must have the size of the source.
            guard padded >= reach, (padded - reach) / window.strides[axis] + 1 == sizes[axis + 2] else {
                graphAbort("a transposed convolution of \(sizes) into \(shape)")
            }
        }
        return emit(
            "conv_transpose",
            [
                "x": source, "weight": weights, "pad": window.pads, "output_shape": shape, "pad_type": "custom",
                "strides": window.strides, "dilations": window.dilations, "groups": window.groups,
            ], name)
    }

    /// A pooling over the last three of four axes; the first must be left alone.
    public func maxPooling4D(_ source: MPSGraphTensor, descriptor: MPSGraphPooling4DOpDescriptor, name: String?)
        -> MPSGraphTensor
    {
        let shape = type(source).shape
        let (kernel, strides) = (descriptor.kernelSizes.map(\.intValue), descriptor.strides.map(\.intValue))
        let pads = descriptor.paddingValues.map(\.intValue)
        guard shape.count == 4, kernel.count == 4, strides.count == 4, pads.count == 8, kernel[0] == 1, strides[0] == 1,
            pads[0...1] == [0, 0], descriptor.dilationRates.allSatisfy({ $0.intValue == 1 }), !descriptor.ceilMode,
            descriptor.paddingStyle == .explicit
        else { graphAbort("a pooling of \(shape) by \(kernel), which no stand-in plays") }
        let image = emit("reshape", ["x": source, "shape": [1] + shape])
        let pooled = emit(
            "max_pool",
            [
                "x": image, "kernel_sizes": Array(kernel[1...]), "strides": Array(strides[1...]),
                "pad_type": "custom", "pad": Array(pads[2...]),
            ])
        return emit("reshape", ["x": pooled, "shape": Array(type(pooled).shape[1...])], name)
    }
}
