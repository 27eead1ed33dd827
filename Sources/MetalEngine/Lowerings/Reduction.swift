#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Reductions and running sums. MPSGraph reduces along the last four dimensions only and keeps each with length 1.
    // It reduces short integers wrongly, so they go through int32; sums of fp16 go through fp32. Norms are expansions.

    extension MetalLowerings {
        static let reduction: [Lowering] = [
            reduction("reduce_sum", .graphNumbers.union([.complex64]), in: summable) {
                $0.graph.reductionSum(with: $0.tensor, axes: $1, name: nil)
            },
            reduction("reduce_mean", [.float16, .float32, .int32, .complex64], in: { _ in .float32 }) {
                $0.graph.mean(of: $0.tensor, axes: $1, name: nil)
            },
            Lowering("reduce_prod", product.dtypes.union([.complex64])) { call, builder in
                let x = try builder.term("x", call)
                guard x.isComplex else { return try product.lower(call, builder) }
                let sizes = try call.function.tensorType(call.operation.outputs[0]).shape
                return [try Parts(x).product(along: axes(call), to: sizes).joined.tensor]
            },
            reduction("reduce_max", .graphNumbers, in: comparable) { x, axes in
                x.isFloat
                    ? x.graph.reductionMaximumPropagateNaN(with: x.tensor, axes: axes, name: nil)
                    : x.graph.reductionMaximum(with: x.tensor, axes: axes, name: nil)
            },
            reduction("reduce_min", .graphNumbers, in: comparable) { x, axes in
                x.isFloat
                    ? x.graph.reductionMinimumPropagateNaN(with: x.tensor, axes: axes, name: nil)
                    : x.graph.reductionMinimum(with: x.tensor, axes: axes, name: nil)
            },
            Lowering("reduce_log_sum_exp", .graphNumbers) { call, builder in
                let (x, axes) = (try builder.term("x", call), try axes(call))
                let wide = x.cast(to: .float32)
                let kept = wide.sizes.indices.map { axes.contains($0) ? 1 : wide.sizes[$0] }
                let largest = wide.reduced(along: axes, to: kept) {
                    $0.graph.reductionMaximumPropagateNaN(with: $0.tensor, axes: $1, name: nil)
                }
                // Of numbers that are all infinite there is no difference.
                let middle = largest.isInfinite.choose(0, largest)
                let sum = (wide - middle).exp.reduced(along: axes, to: kept) {
                    $0.graph.reductionSum(with: $0.tensor, axes: $1, name: nil)
                }
                let sizes = try call.function.tensorType(call.operation.outputs[0]).shape
                return [(sum.log + middle).reshaped(sizes).converted(to: x.type).tensor]
            },
            truth("reduce_any") { $0.graph.reductionMaximum(with: $0.tensor, axes: $1, name: nil) },
            truth("reduce_all") { $0.graph.reductionMinimum(with: $0.tensor, axes: $1, name: nil) },
            position("reduce_argmax") { $0.largest(along: $1) },
            position("reduce_argmin") { $0.smallest(along: $1) },
            running("cumsum", .graphNumbers.union([.complex64])) { x, axis, exclusive, reverse in
                x.graph.cumulativeSum(x.tensor, axis: axis, exclusive: exclusive, reverse: reverse, name: nil)
            },
            Lowering("cumprod", runningProduct.dtypes.union([.complex64])) { call, builder in
                let x = try builder.term("x", call)
                guard x.isComplex else { return try runningProduct.lower(call, builder) }
                let rows = try Parts(x).flat(around: call.axis(rank: x.sizes.count))
                let products = try rows.runningProduct(
                    exclusive: call.bool("exclusive"), reverse: call.bool("reverse"))
                return [products.joined.reshaped(x.sizes).tensor]
            },
        ]

        /// Of real numbers; MPSGraph multiplies no more than two complex ones.
        private static let product = reduction("reduce_prod", .graphNumbers, in: summable) {
            $0.graph.reductionProduct(with: $0.tensor, axes: $1, name: nil)
        }

        private static let runningProduct = running("cumprod", .graphNumbers) { x, axis, exclusive, reverse in
            x.graph.cumulativeProduct(x.tensor, axis: axis, exclusive: exclusive, reverse: reverse, name: nil)
        }

        /// The type that elements of a type are added and multiplied in.
        @Sendable private static func summable(_ type: MPSDataType) -> MPSDataType {
            type == .float16 ? .float32 : comparable(type)
        }

        /// The type that elements of a type are compared in.
        @Sendable private static func comparable(_ type: MPSDataType) -> MPSDataType {
            switch type {
            case .bool, .int8, .uInt8, .int16, .uInt16: .int32
            case .uInt32: .int64
            default: type
            }
        }

        // MARK: Rows

        private typealias Reduce = @Sendable (_ x: Term, _ axes: [NSNumber]) -> MPSGraphTensor

        private static func reduction(
            _ name: String, _ dtypes: Set<DataType>, in type: @escaping @Sendable (MPSDataType) -> MPSDataType,
            _ reduce: @escaping Reduce
        ) -> Lowering {
            Lowering(name, dtypes) { call, builder in
                let x = try builder.term("x", call)
                let sizes = try call.function.tensorType(call.operation.outputs[0]).shape
                func reduced(_ x: Term) throws -> Term {
                    try x.cast(to: type(x.type)).reduced(along: axes(call), to: sizes, reduce).converted(to: x.type)
                }
                guard x.isComplex else { return [try reduced(x).tensor] }
                let parts = Parts(x)
                return [try Parts(reduced(parts.re), reduced(parts.im)).joined.tensor]
            }
        }

        private static func truth(_ name: String, _ reduce: @escaping Reduce) -> Lowering {
            Lowering(name, .graphAndComplex) { call, builder in
                let isOther = try builder.term("x", call).converted(to: .bool)
                let sizes = try call.function.tensorType(call.operation.outputs[0]).shape
                let result = try isOther.cast(to: .int32).reduced(along: axes(call), to: sizes, reduce)
                return [(result != 0).tensor]
            }
        }

        /// The first of equals, and the first NaN where there is one: MPSGraph does not say which its own would be.
        private static func position(
            _ name: String, _ extreme: @escaping @Sendable (_ x: Term, _ axis: Int) -> Term
        ) -> Lowering {
            Lowering(name, .graphNumbers) { call, builder in
                let type = try call.function.tensorType(call.operation.outputs[0])
                var x = try builder.term("x", call)
                x = x.cast(to: comparable(x.type))
                let result = try x.flat(around: call.axis(rank: call.type("x").rank)).firstPosition { extreme($0, 1) }
                return [result.cast(to: try builder.dataType(type.dtype)).reshaped(type.shape).tensor]
            }
        }

        private static func running(
            _ name: String, _ dtypes: Set<DataType>,
            _ run: @escaping @Sendable (_ x: Term, _ axis: Int, _ exclusive: Bool, _ reverse: Bool) -> MPSGraphTensor
        ) -> Lowering {
            Lowering(name, dtypes) { call, builder in
                let (exclusive, reverse) = (try call.bool("exclusive"), try call.bool("reverse"))
                func running(_ x: Term) throws -> Term {
                    let wide = x.cast(to: summable(x.type))
                    return try wide.alongAxis(call.axis(rank: x.sizes.count)) { x, axis in
                        Term(run(x, axis, exclusive, reverse), x.graph)
                    }.cast(to: x.type)
                }
                let x = try builder.term("x", call)
                guard x.isComplex else { return [try running(x).tensor] }
                let parts = Parts(x)
                return [try Parts(running(parts.re), running(parts.im)).joined.tensor]
            }
        }

        private static func axes(_ call: Call) throws -> [Int] {
            let rank = try call.type("x").rank
            return try call.axes(rank: rank) ?? Array(0..<rank)
        }
    }

    // MARK: Products of complex numbers

    extension Parts {
        fileprivate func flat(around axis: Int) -> Parts { Parts(re.flat(around: axis), im.flat(around: axis)) }

        /// The products up to each element along the middle of three axes, by doubling the length that they go back.
        fileprivate func runningProduct(exclusive: Bool, reverse: Bool) -> Parts {
            let length = re.sizes[1]
            func moved(_ z: Parts, by places: Int) -> Parts {
                places >= length
                    ? Parts(z.re.zeros + 1, z.im.zeros)
                    : Parts(
                        z.re.moved(by: places, back: reverse, filling: 1),
                        z.im.moved(by: places, back: reverse, filling: 0))
            }
            var (result, places) = (exclusive ? moved(self, by: 1) : self, 1)
            while places < length {
                result = result * moved(result, by: places)
                places *= 2
            }
            return result
        }

        /// The product along axes: the last of the running ones.
        fileprivate func product(along axes: [Int], to shape: [Int]) -> Parts {
            if axes.isEmpty { return Parts(re.reshaped(shape), im.reshaped(shape)) }
            let (x, y) = (re.rows(of: axes), im.rows(of: axes))
            let products = Parts(x, y).flat(around: 1).runningProduct(exclusive: false, reverse: false)
            func last(_ x: Term) -> Term {
                let end = x.graph.sliceTensor(x.tensor, dimension: 1, start: x.sizes[1] - 1, length: 1, name: nil)
                return Term(end, x.graph).reshaped(shape)
            }
            return Parts(last(products.re), last(products.im))
        }
    }

    // MARK: Along axes

    extension Term {
        /// How many dimensions, counted from the last, MPSGraph reduces and transforms along.
        static let minorDimensions = 4

        /// As [before, axis, behind].
        func flat(around axis: Int) -> Term {
            func count(_ sizes: ArraySlice<Int>) -> Int { sizes.reduce(1, *) }
            return reshaped([count(sizes[..<axis]), sizes[axis], count(sizes[(axis + 1)...])])
        }

        /// Something along one axis that leaves the shape as it is; an axis too far in front comes nearer.
        func alongAxis(_ axis: Int, _ apply: (Term, Int) -> Term) -> Term {
            guard sizes.count > Term.minorDimensions else { return apply(self, axis) }
            return apply(flat(around: axis), 1).reshaped(sizes)
        }

        /// Reduced along axes to a shape. Tensors of high rank become [kept, reduced] first.
        fileprivate func reduced(
            along axes: [Int], to shape: [Int], _ reduce: (_ x: Term, _ axes: [NSNumber]) -> MPSGraphTensor
        ) -> Term {
            if axes.isEmpty { return reshaped(shape) }
            guard sizes.count > Term.minorDimensions else {
                return Term(reduce(self, axes.sorted().numbers), graph).reshaped(shape)
            }
            return Term(reduce(rows(of: axes), [1].numbers), graph).reshaped(shape)
        }

        /// As [kept, reduced]: the elements along some axes become rows.
        fileprivate func rows(of axes: [Int]) -> Term {
            let kept = sizes.indices.filter { !axes.contains($0) }
            let count = kept.reduce(1) { $0 * sizes[$1] }
            return transposed(kept + axes.sorted()).reshaped([count, sizes.reduce(1, *) / count])
        }

        /// Moved along the middle of three axes, to the end or to the front; what comes in is a number.
        fileprivate func moved(by places: Int, back: Bool, filling value: Double) -> Term {
            let kept = sizes[1] - places
            let part = graph.sliceTensor(tensor, dimension: 1, start: back ? places : 0, length: kept, name: nil)
            let (front, behind) = ([0, back ? 0 : places, 0], [0, back ? places : 0, 0])
            return Term(
                graph.padTensor(
                    part, with: .constant, leftPadding: front.numbers, rightPadding: behind.numbers,
                    constantValue: value, name: nil), graph)
        }

        fileprivate func largest(along axis: Int) -> Term {
            Term(
                isFloat
                    ? graph.reductionMaximumPropagateNaN(with: tensor, axes: [axis].numbers, name: nil)
                    : graph.reductionMaximum(with: tensor, axes: [axis].numbers, name: nil), graph)
        }

        fileprivate func smallest(along axis: Int) -> Term {
            Term(
                isFloat
                    ? graph.reductionMinimumPropagateNaN(with: tensor, axes: [axis].numbers, name: nil)
                    : graph.reductionMinimum(with: tensor, axes: [axis].numbers, name: nil), graph)
        }

        /// Where along the middle of three axes the extreme first is.
        fileprivate func firstPosition(of extreme: (Term) -> Term) -> Term {
            let isExtreme = self == extreme(self)
            let isFound = isFloat ? isExtreme || isNaN : isExtreme
            let places = Term(graph.coordinate(alongAxis: 1, withShape: sizes.numbers, name: nil), graph)
            return isFound.choose(places, Double(sizes[1])).smallest(along: 1)
        }
    }
#endif
