#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Convolutions and poolings. What has one spatial axis gets a second one of length 1 in front.

    extension MetalLowerings {
        static let convolution: [Lowering] = [
            Lowering("conv", .graphFloats, refusal: tooLarge) { call, builder in
                let (window, result) = (try Window(convolution: call), try call.result())
                let (x, weight) = try operands(call, builder)
                let convolved = try x.convolved(
                    weight, GraphWindow(window, max(2, window.kernel.count)), groups: call.int("groups"))
                return [try biased(convolved.reshaped(result.shape), call, builder)]
            },
            Lowering("conv_transpose", .graphFloats, refusal: tooLarge) { call, builder in
                let (window, result) = (try Window(transposedConvolution: call), try call.result())
                let (x, weight) = try operands(call, builder)
                let spread = try x.spread(
                    weight, GraphWindow(window, max(2, window.kernel.count)), groups: call.int("groups"))
                return [try biased(spread.reshaped(result.shape), call, builder)]
            },
            pooling("max_pool") { x, window, _ in
                Term(x.graph.maxPooling4D(x.tensor, descriptor: try window.pool(), name: nil), x.graph)
            },
            pooling("avg_pool") { x, window, call in
                let exclude = try call.bool("exclude_padding_from_average")
                let counts = window.counts(excluding: exclude)
                return x.windowSums(window)
                    / (Set(counts).count == 1 ? x.number(counts[0]) : try x.constants(counts, [1] + window.output))
            },
            pooling("l2_pool") { x, window, _ in (x * x).windowSums(window).squareRoot },
        ]

        /// Before macOS 15.1 a convolution's result must not be longer along any axis.
        private static let longestAxis = 1 << 16
        /// A kernel this long overruns the memory of its threads, and the result is wrong (pytorch/pytorch 188335).
        private static let tooLongKernel = 256

        @Sendable private static func tooLarge(_ call: Call) -> String? {
            guard let shape = try? call.result().shape, let kernel = try? call.type("weight").shape.dropFirst(2) else {
                return nil
            }
            if kernel.contains(where: { $0 >= tooLongKernel }) {
                return
                    "The kernel \(Array(kernel)) is too long: from \(tooLongKernel) on, MPSGraph's convolutions are wrong."
            }
            // Of three spatial axes, the first goes with the batch.
            let batch = shape.count == 5 ? Double(shape[0]) * Double(shape[2]) : 0
            guard shape.contains(where: { $0 > longestAxis }) || batch > Double(longestAxis) else { return nil }
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
    }

    /// A window with two or three spatial axes, as MPSGraph's descriptors want it.
    private struct GraphWindow {
        private(set) var kernel: [Int]
        private(set) var strides: [Int]
        private(set) var dilations: [Int]
        private(set) var before: [Int]
        private(set) var after: [Int]
        private(set) var output: [Int]
        /// The sizes of the spatial axes of x; empty if not needed.
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

        /// The last two of three axes.
        var plane: GraphWindow {
            var window = self
            (window.kernel, window.strides) = (Array(kernel[1...]), Array(strides[1...]))
            (window.dilations, window.output) = (Array(dilations[1...]), Array(output[1...]))
            (window.before, window.after) = (Array(before[1...]), Array(after[1...]))
            return window
        }

        /// The same without pads.
        func padless() -> GraphWindow {
            var window = self
            window.before = before.map { _ in 0 }
            window.after = window.before
            return window
        }

        /// The spatial shape of a transposed convolution's whole result.
        func full(of sizes: [Int]) -> [Int] {
            sizes.indices.map { (sizes[$0] - 1) * strides[$0] + reach[$0] }
        }

        /// The descriptor of a convolution over a plane.
        func flat(groups: Int) throws -> MPSGraphConvolution2DOpDescriptor {
            guard
                let descriptor = MPSGraphConvolution2DOpDescriptor(
                    strideInX: strides[1], strideInY: strides[0], dilationRateInX: dilations[1],
                    dilationRateInY: dilations[0], groups: groups, paddingLeft: before[1], paddingRight: after[1],
                    paddingTop: before[0], paddingBottom: after[0], paddingStyle: .explicit, dataLayout: .NCHW,
                    weightsLayout: .OIHW)
            else { throw GraphWindow.refusal }
            return descriptor
        }

        /// The pads behind that the last window reaches, so that nothing is left to round up.
        var behind: [Int] {
            input.indices.map { max(0, (output[$0] - 1) * strides[$0] + kernel[$0] - input[$0] - before[$0]) }
        }

        /// A pooling of [images, depth, height, width].
        func pool() throws -> MPSGraphPooling4DOpDescriptor {
            guard
                let descriptor = MPSGraphPooling4DOpDescriptor(
                    kernelSizes: ([1] + kernel).numbers, strides: ([1] + strides).numbers,
                    dilationRates: [1, 1, 1, 1].numbers,
                    paddingValues: ([0, 0] + zip(before, behind).flatMap { [$0, $1] }).numbers,
                    paddingStyle: .explicit)
            else { throw GraphWindow.refusal }
            return descriptor
        }

        /// How many elements of each window count: those of x, or of x and its pads.
        func counts(excluding: Bool) -> [Double] {
            let counts = input.indices.map { axis in
                (0..<output[axis]).map { place in
                    let start = place * strides[axis] - before[axis]
                    let end = min(start + kernel[axis], input[axis] + (excluding ? 0 : after[axis]))
                    return Double(max(1, end - (excluding ? max(start, 0) : start)))
                }
            }
            return counts.reduce([1]) { products, axis in products.flatMap { product in axis.map { product * $0 } } }
        }

        private static let refusal = Failure(.unsupported, "MPSGraph takes no such window.")
    }

    // MARK: Windows of terms

    // MPSGraph's own means over windows keep running sums, so that a window feels what lies far in front of it
    // (pytorch/pytorch 179608).
    extension Term {
        /// The sums over the windows of [images, depth, height, width], where pads are 0.
        fileprivate func windowSums(_ window: GraphWindow) -> Term {
            let whole = padded(before: [0] + window.before, after: [0] + window.behind, with: 0)
            return window.kernel.indices.reduce(whole) { sums, axis in
                let (kernel, stride, count) = (window.kernel[axis], window.strides[axis], window.output[axis])
                return stride < kernel
                    ? sums.sums(axis + 1, kernel).sliced(axis + 1, begin: 0, length: count, stride: stride)
                    : sums.sumsApart(axis + 1, kernel, stride: stride, count)
            }
        }

        /// The sums over all windows along one axis, put together from those over powers of two.
        private func sums(_ axis: Int, _ kernel: Int) -> Term {
            let length = sizes[axis] - kernel + 1
            var (power, reach, parts, place) = (self, 1, [Term](), 0)
            while true {
                if kernel & reach != 0 {
                    parts.append(power.sliced(axis, begin: place, length: length))
                    place += reach
                }
                if 2 * reach > kernel { return parts.dropFirst().reduce(parts[0], +) }
                let rest = power.sizes[axis] - reach
                power = power.sliced(axis, begin: 0, length: rest) + power.sliced(axis, begin: reach, length: rest)
                reach *= 2
            }
        }

        /// The sums over windows of which none reaches into the next one.
        private func sumsApart(_ axis: Int, _ kernel: Int, stride: Int, _ count: Int) -> Term {
            guard stride > 1 else { return sliced(axis, begin: 0, length: count) }
            var (missing, result) = (sizes.map { _ in 0 }, sizes)
            missing[axis] = max(0, count * stride - sizes[axis])
            result[axis] = count
            let (outer, inner) = (sizes[..<axis].reduce(1, *), sizes[(axis + 1)...].reduce(1, *))
            let windows = padded(before: sizes.map { _ in 0 }, after: missing, with: 0)
                .sliced(axis, begin: 0, length: count * stride).reshaped([outer, count, stride, inner])
                .sliced(2, begin: 0, length: kernel)
            return Term(graph.reductionSum(with: windows.tensor, axes: [2].numbers, name: nil), graph).reshaped(result)
        }
    }

    // MARK: Convolutions of terms

    // A convolution over three axes is a sum of convolutions over planes, one for each plane of the kernel: MPSGraph's own
    // is wrong for many numbers of channels (pytorch/pytorch 197114).
    extension Term {
        fileprivate func convolved(_ weight: Term, _ window: GraphWindow, groups: Int) throws -> Term {
            guard window.kernel.count == 3 else {
                let descriptor = try window.flat(groups: groups)
                return Term(
                    graph.convolution2D(tensor, weights: weight.tensor, descriptor: descriptor, name: nil), graph)
            }
            let (before, after) = ([0, 0, window.before[0], 0, 0], [0, 0, window.after[0], 0, 0])
            let deep = padded(before: before, after: after, with: 0)
            let sums = try (0..<window.kernel[0]).map { place in
                try deep.sliced(
                    2, begin: place * window.dilations[0], length: window.output[0], stride: window.strides[0]
                ).planes.convolved(weight.plane(place), window.plane, groups: groups)
            }
            return sums.dropFirst().reduce(sums[0], +).deep(window.output[0])
        }

        /// The transposed convolution: the gradient of one with respect to its source. Pads that no convolution has are cut
        /// off its whole result, or added to it.
        fileprivate func spread(_ weight: Term, _ window: GraphWindow, groups: Int) throws -> Term {
            if window.kernel.count == 2, window.isPlain {
                return try spread(weight, window, to: window.output, groups: groups)
            }
            let whole = try whole(weight, window.padless(), groups: groups)
            return try whole.window(from: window.before, window.output)
        }

        private func whole(_ weight: Term, _ window: GraphWindow, groups: Int) throws -> Term {
            guard window.kernel.count == 3 else {
                return try spread(weight, window, to: window.full(of: Array(sizes[2...])), groups: groups)
            }
            let last = (window.kernel[0] - 1) * window.dilations[0]
            let sums = try (0..<window.kernel[0]).map { place in
                let part = try planes.whole(weight.plane(place), window.plane, groups: groups).deep(sizes[2])
                let first = place * window.dilations[0]
                return part.spaced(2, by: window.strides[0])
                    .padded(before: [0, 0, first, 0, 0], after: [0, 0, last - first, 0, 0], with: 0)
            }
            return sums.dropFirst().reduce(sums[0], +)
        }

        private func spread(_ weight: Term, _ window: GraphWindow, to size: [Int], groups: Int) throws -> Term {
            let shape = [sizes[0], weight.sizes[1] * groups] + size
            return Term(
                graph.convolutionTranspose2D(
                    tensor, weights: weight.tensor, outputShape: shape.numbers,
                    descriptor: try window.flat(groups: groups), name: nil), graph)
        }

        /// [batch, channels, depth, height, width] as images [batch · depth, channels, height, width].
        private var planes: Term {
            transposed([0, 2, 1, 3, 4]).reshaped([sizes[0] * sizes[2], sizes[1], sizes[3], sizes[4]])
        }

        /// Images as planes of a depth again.
        private func deep(_ depth: Int) -> Term {
            reshaped([sizes[0] / depth, depth] + sizes[1...]).transposed([0, 2, 1, 3, 4])
        }

        /// One plane of a kernel with three spatial axes.
        private func plane(_ place: Int) -> Term {
            sliced(2, begin: place, length: 1).reshaped(Array(sizes[..<2] + sizes[3...]))
        }

        /// Elements of one axis with zeros between them.
        private func spaced(_ axis: Int, by step: Int) -> Term {
            guard step > 1 else { return self }
            var (apart, joined, gap) = (sizes, sizes, sizes.map { _ in 0 })
            apart.insert(1, at: axis + 1)
            gap.insert(step - 1, at: axis + 1)
            joined[axis] *= step
            return reshaped(apart).padded(before: apart.map { _ in 0 }, after: gap, with: 0).reshaped(joined)
                .sliced(axis, begin: 0, length: joined[axis] - step + 1)
        }

        /// The part of a whole transposed convolution that begins behind the pads in front; 0 behind the end.
        private func window(from before: [Int], _ output: [Int]) throws -> Term {
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
