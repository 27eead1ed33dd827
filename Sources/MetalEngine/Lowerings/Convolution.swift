#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Convolutions and poolings. What has one spatial axis gets a second one of length 1 in front.

    extension MetalLowerings {
        static let convolution: [Lowering] = [
            Lowering("conv", .graphFloats, refusal: tooWide) { call, builder in
                let window = try Window(convolution: call)
                let result = try builder.function.tensorType(call.operation.outputs[0])
                let (x, weight) = try operands(call, builder)
                let convolved =
                    window.kernel.count == 3
                    ? builder.graph.convolution3D(
                        x.tensor, weights: weight.tensor, descriptor: try GraphWindow(window, 3).deep(call), name: nil)
                    : builder.graph.convolution2D(
                        x.tensor, weights: weight.tensor, descriptor: try GraphWindow(window, 2).flat(call), name: nil)
                return [try biased(Term(convolved, builder.graph).reshaped(result.shape), call, builder)]
            },
            Lowering("conv_transpose", .graphFloats, refusal: tooWide) { call, builder in
                let window = try Window(transposedConvolution: call)
                let result = try builder.function.tensorType(call.operation.outputs[0])
                let spread = try transposed(call, builder, GraphWindow(window, max(2, window.kernel.count)))
                return [try biased(spread.reshaped(result.shape), call, builder)]
            },
            pooling("max_pool") { x, window, _ in
                Term(x.graph.maxPooling4D(x.tensor, descriptor: try window.pool(), name: nil), x.graph)
            },
            pooling("avg_pool") { x, window, call in
                let exclude = try call.bool("exclude_padding_from_average")
                return try mean(x, window) * window.shares(x, excluding: exclude)
            },
            pooling("l2_pool") { x, window, _ in
                (try mean(x * x, window) * Double(window.kernel.reduce(1, *))).squareRoot
            },
        ]

        /// Before macOS 15.1 a convolution's result must not be longer along any axis.
        private static let longestAxis = 1 << 16

        @Sendable private static func tooWide(_ call: Call) -> String? {
            guard let shape = try? call.result().shape, shape.contains(where: { $0 > longestAxis }) else { return nil }
            return "The result has the shape \(shape); MPSGraph's convolutions reach to \(longestAxis) along each axis."
        }

        /// x and weight with at least two spatial axes, in the type of x.
        private static func operands(_ call: Call, _ builder: GraphBuilder) throws -> (x: Term, weight: Term) {
            let x = try builder.term("x", call)
            func image(_ term: Term) -> Term {
                term.sizes.count == 3 ? term.reshaped(Array(term.sizes[..<2]) + [1, term.sizes[2]]) : term
            }
            return (image(x), image(try builder.term("weight", call).cast(to: x.type)))
        }

        /// With the bias, where there is one, added to each channel.
        private static func biased(_ x: Term, _ call: Call, _ builder: GraphBuilder) throws -> MPSGraphTensor {
            guard call.has("bias") else { return x.tensor }
            return (x + (try builder.term("bias", call).cast(to: x.type).along(1, rank: x.sizes.count))).tensor
        }

        /// The gradient of a convolution with respect to its source. Pads that no convolution has are cut off its whole
        /// result, or added to it.
        private static func transposed(_ call: Call, _ builder: GraphBuilder, _ window: GraphWindow) throws -> Term {
            let (x, weight) = try operands(call, builder)
            let channels = [x.sizes[0], weight.sizes[1] * (try call.int("groups"))]
            func spread(_ window: GraphWindow, _ sizes: [Int]) throws -> Term {
                let shape = (channels + sizes).numbers
                let tensor =
                    sizes.count == 3
                    ? builder.graph.convolution3DDataGradient(
                        x.tensor, weights: weight.tensor, outputShape: shape,
                        forwardConvolutionDescriptor: try window.deep(call), name: nil)
                    : builder.graph.convolutionTranspose2D(
                        x.tensor, weights: weight.tensor, outputShape: shape, descriptor: try window.flat(call),
                        name: nil)
                return Term(tensor, builder.graph)
            }
            if window.isPlain { return try spread(window, window.output) }
            let whole = try spread(window.padded(), window.full(of: Array(x.sizes[2...])))
            return try whole.window(from: window.before, window.output, call)
        }

        private static func pooling(
            _ name: String, _ pool: @escaping @Sendable (_ x: Term, _ window: GraphWindow, _ call: Call) throws -> Term
        ) -> Lowering {
            Lowering(name, .graphFloats) { call, builder in
                let window = GraphWindow(try Window(pooling: call), 3, of: Array(try call.type("x").shape[2...]))
                let result = try builder.function.tensorType(call.operation.outputs[0])
                let shape = try call.type("x").shape
                let image = try builder.term("x", call).reshaped([shape[0] * shape[1]] + window.input)
                let pooled =
                    try name == "max_pool" ? pool(image, window, call) : image.inSingle { try pool($0, window, call) }
                return [pooled.reshaped(result.shape).tensor]
            }
        }

        /// The mean of each window, in which pads count as elements that are 0.
        private static func mean(_ x: Term, _ window: GraphWindow) throws -> Term {
            let descriptor = try window.pool()
            descriptor.includeZeroPadToAverage = true
            return Term(x.graph.avgPooling4D(x.tensor, descriptor: descriptor, name: nil), x.graph)
        }
    }

    /// A window with two or three spatial axes, as MPSGraph's descriptors want it.
    private struct GraphWindow {
        let kernel: [Int]
        let strides: [Int]
        let dilations: [Int]
        var before: [Int]
        var after: [Int]
        let output: [Int]
        /// The spatial axes of x; empty where nobody asked.
        let input: [Int]

        init(_ window: Window, _ axes: Int, of input: [Int] = []) {
            func filled(_ values: [Int], _ value: Int) -> [Int] {
                Array(repeating: value, count: axes - values.count) + values
            }
            (kernel, strides, dilations) = (
                filled(window.kernel, 1), filled(window.strides, 1), filled(window.dilations, 1)
            )
            (before, after) = (filled(window.padsBefore, 0), filled(window.padsAfter, 0))
            output = filled(window.output, 1)
            self.input = input.isEmpty ? [] : filled(input, 1)
        }

        private var reach: [Int] { zip(kernel, dilations).map { ($0 - 1) * $1 + 1 } }

        /// Whether each pad is one that a convolution has.
        var isPlain: Bool { zip(before + after, reach + reach).allSatisfy { $0 >= 0 && $0 < $1 } }

        /// The same without pads.
        func padded() -> GraphWindow {
            var window = self
            window.before = before.map { _ in 0 }
            window.after = window.before
            return window
        }

        /// The spatial shape of a transposed convolution's whole result.
        func full(of sizes: [Int]) -> [Int] {
            sizes.indices.map { (sizes[$0] - 1) * strides[$0] + reach[$0] }
        }

        func flat(_ call: Call) throws -> MPSGraphConvolution2DOpDescriptor {
            guard
                let descriptor = MPSGraphConvolution2DOpDescriptor(
                    strideInX: strides[1], strideInY: strides[0], dilationRateInX: dilations[1],
                    dilationRateInY: dilations[0], groups: try call.int("groups"), paddingLeft: before[1],
                    paddingRight: after[1], paddingTop: before[0], paddingBottom: after[0], paddingStyle: .explicit,
                    dataLayout: .NCHW, weightsLayout: .OIHW)
            else { throw GraphWindow.refusal }
            return descriptor
        }

        func deep(_ call: Call) throws -> MPSGraphConvolution3DOpDescriptor {
            guard
                let descriptor = MPSGraphConvolution3DOpDescriptor(
                    strideInX: strides[2], strideInY: strides[1], strideInZ: strides[0],
                    dilationRateInX: dilations[2], dilationRateInY: dilations[1], dilationRateInZ: dilations[0],
                    groups: try call.int("groups"), paddingLeft: before[2], paddingRight: after[2],
                    paddingTop: before[1], paddingBottom: after[1], paddingFront: before[0], paddingBack: after[0],
                    paddingStyle: .explicit, dataLayout: .NCDHW, weightsLayout: .OIDHW)
            else { throw GraphWindow.refusal }
            return descriptor
        }

        /// A pooling of [images, depth, height, width]. The pads behind are those that the last window reaches, so that
        /// nothing is left to round up.
        func pool() throws -> MPSGraphPooling4DOpDescriptor {
            let behind = input.indices.map {
                max(0, (output[$0] - 1) * strides[$0] + kernel[$0] - input[$0] - before[$0])
            }
            guard
                let descriptor = MPSGraphPooling4DOpDescriptor(
                    kernelSizes: ([1] + kernel).numbers, strides: ([1] + strides).numbers,
                    dilationRates: [1, 1, 1, 1].numbers,
                    paddingValues: ([0, 0] + zip(before, behind).flatMap { [$0, $1] }).numbers,
                    paddingStyle: .explicit)
            else { throw GraphWindow.refusal }
            return descriptor
        }

        /// What makes of a mean over the whole window one over the elements that count: those of x, or of x and its pads.
        func shares(_ x: Term, excluding: Bool) throws -> Term {
            let counts = input.indices.map { axis in
                (0..<output[axis]).map { place in
                    let start = place * strides[axis] - before[axis]
                    let end = min(start + kernel[axis], input[axis] + (excluding ? 0 : after[axis]))
                    return Double(max(1, end - (excluding ? max(start, 0) : start)))
                }
            }
            var shares = [Double(kernel.reduce(1, *))]
            for axis in counts { shares = shares.flatMap { share in axis.map { share / $0 } } }
            return try x.constants(shares, [1] + output)
        }

        private static let refusal = Failure(.unsupported, "MPSGraph takes no such window.")
    }

    extension Term {
        /// The part of a whole transposed convolution that begins behind the pads in front; 0 behind the end.
        fileprivate func window(from before: [Int], _ output: [Int], _ call: Call) throws -> Term {
            let whole = Array(sizes[2...])
            let lengths = whole.indices.map { min(output[$0], whole[$0] - before[$0]) }
            guard lengths.allSatisfy({ $0 > 0 }) else {
                throw Failure(
                    .unsupported, "The pads leave nothing of an axis of \(whole); MPSGraph has no empty tensors.")
            }
            let part = sliced(
                begin: [0, 0] + before, stride: sizes.map { _ in 1 }, length: Array(sizes[..<2]) + lengths)
            let missing = [0, 0] + zip(output, lengths).map { $0 - $1 }
            return part.padded(before: sizes.map { _ in 0 }, after: missing, with: 0)
        }
    }
#endif
