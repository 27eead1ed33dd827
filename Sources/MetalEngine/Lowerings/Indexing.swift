#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Indexing. MPSGraph counts no index from the end and says nothing of those outside: constant ones are checked here,
    // others are held within their axis, so that no foreign memory is read. Results whose size the elements decide have no
    // rows: a compiled graph has fixed sizes.

    extension MetalLowerings {
        static let indexing: [Lowering] = [
            Lowering("gather", .graphAndComplex, refusal: unchecked) { call, builder in
                let x = try builder.term("x", call)
                let axis = try call.axis(rank: call.type("x").rank)
                let indices = try positions(call, builder, below: [x.sizes[axis]])
                let batch = try call.int("batch_dims")
                return [try builder.shaped(x.byParts { $0.gathered(indices, axis: axis, batch: batch) }, call)]
            },
            Lowering("gather_along_axis", .graphAndComplex, refusal: unchecked) { call, builder in
                let x = try builder.term("x", call)
                let axis = try call.axis(rank: call.type("x").rank)
                let indices = try positions(call, builder, below: [x.sizes[axis]])
                return [x.byParts { $0.taken(indices, along: axis) }.tensor]
            },
            Lowering("gather_nd", .graphAndComplex, refusal: unchecked) { call, builder in
                let (x, batch) = (try builder.term("x", call), try call.int("batch_dims"))
                let depth = try call.type("indices").shape.last ?? 0
                let indices = try positions(call, builder, below: Array(x.sizes[batch..<batch + depth]))
                let slices = x.byParts {
                    Term(
                        x.graph.gatherND(
                            withUpdatesTensor: $0.tensor, indicesTensor: indices.tensor, batchDimensions: batch,
                            name: nil), x.graph)
                }
                return [try builder.shaped(slices, call)]
            },
            scatter("scatter") { call, builder, data, updates, mode in
                let axis = try call.axis(rank: data.sizes.count)
                let indices = try positions(call, builder, below: [data.sizes[axis]])
                let count = indices.sizes.reduce(1, *)
                let shape = data.sizes[..<axis] + [count] + data.sizes[(axis + 1)...]
                return data.graph.scatterWithData(
                    data.tensor, updates: updates.reshaped(Array(shape)).tensor,
                    indices: indices.reshaped([count]).tensor, axis: axis, mode: mode, name: nil)
            },
            scatter("scatter_along_axis") { call, builder, data, updates, mode in
                let axis = try call.axis(rank: data.sizes.count)
                let indices = try positions(call, builder, below: [data.sizes[axis]])
                return data.graph.scatterAlongAxis(
                    axis, data: data.tensor, updates: updates.tensor, indices: indices.tensor, mode: mode, name: nil)
            },
            scatter("scatter_nd") { call, builder, data, updates, mode in
                let depth = try call.type("indices").shape.last ?? 0
                let indices = try positions(call, builder, below: Array(data.sizes[..<depth]))
                return data.graph.scatterNDWithData(
                    data.tensor, updates: updates.tensor, indices: indices.tensor, batchDimensions: 0, mode: mode,
                    name: nil)
            },
            Lowering("slice_update", .graphAndComplex) { call, builder in
                let (x, update) = (try builder.term("x", call), try builder.term("update", call))
                let isKnown = call.constant("begin") != nil && call.constant("end") != nil
                guard isKnown else { return [try written(x, update, call, builder).tensor] }
                let bounds = try SliceBounds(call)
                return [Term.byParts(x, update) { $0.updated($1.reshaped(bounds.length), bounds) }.tensor]
            },
            Lowering("topk", .graph) { call, builder in
                let axis = try call.axis(rank: call.type("x").rank)
                let types = try call.operation.outputs.map(builder.function.tensorType)
                let x = try builder.term("x", call)
                let source = x.type == .bool ? x.cast(to: .int32) : x
                let found = try source.first(types[0].shape[axis], along: axis, ascending: call.bool("ascending"))
                return try zip(types, found).map { try builder.cast($1.tensor, to: $0.dtype) }
            },
            Lowering("argsort", .graph) { call, builder in
                let axis = try call.axis(rank: call.type("x").rank)
                let order = try builder.term("x", call).order(along: axis, ascending: call.bool("ascending"))
                return [try builder.cast(order.tensor, to: call.result().dtype)]
            },
            Lowering("sort", .graph) { call, builder in
                let axis = try call.axis(rank: call.type("x").rank)
                let x = try builder.term("x", call)
                let source = x.type == .bool ? x.cast(to: .int32) : x
                let sorted = x.graph.sort(
                    source.tensor, axis: axis, descending: try !call.bool("ascending"), name: nil)
                return [Term(sorted, x.graph).cast(to: x.type).tensor]
            },
            Lowering("search_sorted", .graph, refusal: tooManyComparisons) { call, builder in
                let x = try builder.term("x", call)
                let type = try call.result()
                let values = try builder.term("v", call).reshaped([call.type("v").shape.reduce(1, *), 1])
                let line = x.reshaped([1, x.sizes.reduce(1, *)])
                let comes = try call.text("side") == "left" ? line.isBefore(values) : !values.isBefore(line)
                let count = x.graph.reductionSum(with: comes.cast(to: .int32).tensor, axes: [1].numbers, name: nil)
                return [try builder.cast(Term(count, x.graph).reshaped(type.shape).tensor, to: type.dtype)]
            },
        ]

        private static let modes: [String: MPSGraphScatterMode] = [
            "update": .set, "add": .add, "sub": .sub, "mul": .mul, "div": .div, "max": .max, "min": .min,
        ]

        /// A scatter, whose data and updates come in a type that MPSGraph combines.
        private static func scatter(
            _ name: String,
            _ combine:
                @escaping @Sendable (
                    _ call: Call, _ builder: GraphBuilder, _ data: Term, _ updates: Term, _ mode: MPSGraphScatterMode
                ) throws -> MPSGraphTensor
        ) -> Lowering {
            Lowering(name, .graphAndComplex, refusal: { unchecked($0) ?? scatterRefusal($0) }) { call, builder in
                let (data, updates) = (try builder.term("data", call), try builder.term("updates", call))
                var mode = modes[try call.text("mode")] ?? .set
                // Of truth values, the greater is their sum and the smaller their product.
                if data.type == .bool { mode = mode == .add ? .max : mode == .mul ? .min : mode }
                let wide = data.isComplex || data.width >= 32 || data.isFloat ? data.type : .int32
                let chosen = mode
                return [
                    try Term.byParts(data, updates) { data, updates in
                        let combined = try combine(
                            call, builder, data.cast(to: data.isFloat ? data.type : wide),
                            updates.cast(to: data.isFloat ? data.type : wide), chosen)
                        return Term(combined, data.graph).cast(to: data.type)
                    }.tensor
                ]
            }
        }

        private static func scatterRefusal(_ call: Call) -> String? {
            guard let mode = try? call.text("mode"), let dtype = try? call.type("data").dtype else { return nil }
            switch dtype {
            case .bool where mode == "sub" || mode == "div": return "The mode '\(mode)' has no meaning for bool."
            case .complex64 where !["update", "add", "sub"].contains(mode):
                return "MPSGraph scatters complex64 by its parts, which the mode '\(mode)' does not allow."
            case _ where mode == "div" && dtype.isInteger:
                return "MPSGraph does not say how it rounds a quotient of \(dtype.name)."
            default: return nil
            }
        }

        /// A graph cannot end a run with a failure.
        @Sendable private static func unchecked(_ call: Call) -> String? {
            guard (try? call.bool("validate_indices")) == true, call.constant("indices") == nil else { return nil }
            return "validate_indices is true; a graph cannot fail during the run, and indices come only then."
        }

        /// The graph compares each with each.
        private static let mostComparisons = 1 << 26

        @Sendable private static func tooManyComparisons(_ call: Call) -> String? {
            guard let x = try? call.type("x").count, let v = try? call.type("v").count else { return nil }
            let (count, overflow) = x.multipliedReportingOverflow(by: v)
            guard overflow || count > mostComparisons else { return nil }
            return "\(x) elements compared with each of \(v) are more than \(mostComparisons) comparisons."
        }

        /// The indices as int32 from 0 on, none outside.
        private static func positions(_ call: Call, _ builder: GraphBuilder, below sizes: [Int]) throws -> Term {
            guard let known = call.constant("indices") else {
                return try builder.term("indices", call).positions(below: sizes)
            }
            let places = try (0..<known.count).map { place in
                let (index, size) = (known.int(at: place) ?? Int.max, sizes[place % sizes.count])
                guard index >= -size, index < size else {
                    throw Failure(
                        .outOfRange,
                        "\(call.place): the index \(index) at position \(place) lies outside an axis of size \(size).")
                }
                return Int32(clamping: index < 0 ? index + size : index)
            }
            return Term(try builder.constant(Tensor(places, shape: known.shape)), builder.graph)
        }

        /// x with the update at a place that comes at run time: all in one list, by positions in it.
        private static func written(_ x: Term, _ update: Term, _ call: Call, _ builder: GraphBuilder) throws -> Term {
            let (shape, masks) = (try call.type("x").shape, try SliceMasks(call))
            let begin = try builder.term("begin", call)
            var lengths = try call.type("update").shape[...]
            var places = x.whole([0])
            for axis in shape.indices {
                let isSqueezed = masks.squeeze.indices.contains(axis) && masks.squeeze[axis]
                let isFirst = masks.begin.indices.contains(axis) && masks.begin[axis]
                let stride = isSqueezed || !masks.stride.indices.contains(axis) ? 1 : masks.stride[axis]
                let count = isSqueezed ? 1 : lengths.popFirst() ?? 1
                let start = begin.sliced(begin: [axis], stride: [1], length: [1]).positions(below: [shape[axis]])
                let first = isFirst ? start * 0 + (stride < 0 ? Double(shape[axis] - 1) : 0) : start
                let line = first + first.whole((0..<count).map { $0 * stride })
                let step = Double(shape[(axis + 1)...].reduce(1, *))
                let inside = line.held(from: 0, to: Double(shape[axis] - 1)) * step
                places = places.reshaped([places.sizes.reduce(1, *), 1]) + inside.reshaped([1, count])
            }
            let flat = places.reshaped([places.sizes.reduce(1, *)])
            return Term.byParts(x, update) { x, update in
                Term(
                    x.graph.scatterWithData(
                        x.reshaped([shape.reduce(1, *)]).tensor, updates: update.reshaped(flat.sizes).tensor,
                        indices: flat.tensor, axis: 0, mode: .set, name: nil), x.graph
                ).reshaped(shape)
            }
        }
    }

    // MARK: Terms taken by position

    extension Term {
        /// Indices as int32, those from the end counted from the start, all within the sizes that the last axis runs through.
        func positions(below sizes: [Int]) -> Term {
            let indices = cast(to: .int32)
            let (size, last) = (whole(sizes), whole(sizes.map { $0 - 1 }))
            return (indices < 0).choose(indices + size, indices).larger(number32(0)).smaller(last)
        }

        private func number32(_ value: Int) -> Term { whole([value]) }

        func gathered(_ indices: Term, axis: Int, batch: Int = 0) -> Term {
            Term(
                graph.gather(
                    withUpdatesTensor: tensor, indicesTensor: indices.tensor, axis: axis, batchDimensions: batch,
                    name: nil), graph)
        }

        /// Elements along one axis; the other axes run in step.
        func taken(_ indices: Term, along axis: Int) -> Term {
            Term(graph.gatherAlongAxis(axis, updates: tensor, indices: indices.tensor, name: nil), graph)
        }

        /// With the slice replaced. The update is turned round where the slice goes back.
        func updated(_ update: Term, _ bounds: SliceBounds) -> Term {
            let last = sizes.indices.map { bounds.begin[$0] + (bounds.length[$0] - 1) * bounds.stride[$0] }
            let turned = update.reversed(sizes.indices.filter { bounds.stride[$0] < 0 && bounds.length[$0] > 1 })
            return Term(
                graph.sliceUpdateDataTensor(
                    tensor, update: turned.tensor, starts: zip(bounds.begin, last).map(min).numbers,
                    ends: zip(bounds.begin, last).map { max($0, $1) + 1 }.numbers,
                    strides: bounds.stride.map { Int($0.magnitude) }.numbers, name: nil), graph)
        }

        /// The first k elements of each line in order, and their positions.
        fileprivate func first(_ k: Int, along axis: Int, ascending: Bool) -> [Term] {
            let found =
                ascending
                ? graph.bottomK(tensor, axis: axis, k: k, name: nil) : graph.topK(tensor, axis: axis, k: k, name: nil)
            return found.map { Term($0, graph) }
        }

        fileprivate func order(along axis: Int, ascending: Bool) -> Term {
            let source = type == .bool ? cast(to: .int32) : self
            return Term(graph.argSort(source.tensor, axis: axis, descending: !ascending, name: nil), graph)
        }

        /// Whether an element comes before another one; NaN counts as the greatest.
        fileprivate func isBefore(_ other: Term) -> Term {
            let (x, y) = type == .bool ? (cast(to: .int32), other.cast(to: .int32)) : (self, other)
            return isFloat ? (x < y) || (y.isNaN && !x.isNaN) : x < y
        }

        /// What moves elements of two operands, done to each part of complex ones.
        fileprivate static func byParts(_ x: Term, _ y: Term, _ move: (Term, Term) throws -> Term) rethrows -> Term {
            guard x.isComplex else { return try move(x, y) }
            return Term(
                real: try move(x.realPart, y.realPart), imaginary: try move(x.imaginaryPart, y.imaginaryPart))
        }
    }

    extension GraphBuilder {
        /// A term under the shape of the call's only result.
        fileprivate func shaped(_ term: Term, _ call: Call) throws -> MPSGraphTensor {
            term.reshaped(try call.result().shape).tensor
        }
    }

    extension Call {
        /// The type of the first result.
        func result() throws -> TensorType {
            guard let id = operation.outputs.first else { throw Failure(.bug, "'\(op.name)' has no result.") }
            return try function.tensorType(id)
        }
    }
#endif
