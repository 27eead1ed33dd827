#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    /// A row of the Metal engine's column: how one op is said with MPSGraph's operations.
    struct Lowering: Sendable {
        let name: String
        /// The element types that its tensors may have, the results among them. For others the op's expansion stands in.
        let dtypes: Set<DataType>
        /// Why it does not take a call although its types are right; nil where it takes it. MPSGraph ends the process where
        /// a graph makes no sense, so whatever it does not take has to be found here.
        let refusal: @Sendable (Call) -> String?
        /// Adds the operations and answers the results, one for each output of the call, of the types that the row infers.
        /// A scalar, which has rank 0 in MIL, has the shape [1] in the graph.
        let lower: @Sendable (_ call: Call, _ builder: GraphBuilder) throws -> [MPSGraphTensor]

        init(
            _ name: String, _ dtypes: Set<DataType> = .graph,
            refusal: @escaping @Sendable (Call) -> String? = { _ in nil },
            lower: @escaping @Sendable (_ call: Call, _ builder: GraphBuilder) throws -> [MPSGraphTensor]
        ) {
            self.name = name
            self.dtypes = dtypes.intersection(.graphAndComplex)
            self.refusal = refusal
            self.lower = lower
        }

        /// An op of one operand `x` and one result.
        static func unary(
            _ name: String, _ dtypes: Set<DataType> = .graphFloats,
            refusal: @escaping @Sendable (Call) -> String? = { _ in nil },
            _ apply: @escaping @Sendable (_ graph: MPSGraph, _ x: MPSGraphTensor) -> MPSGraphTensor
        ) -> Lowering {
            Lowering(name, dtypes, refusal: refusal) { call, builder in
                [apply(builder.graph, try builder.tensor("x", call))]
            }
        }

        /// An op of two operands `x` and `y`, which MPSGraph broadcasts, and one result.
        static func binary(
            _ name: String, _ dtypes: Set<DataType> = .graphNumbers,
            refusal: @escaping @Sendable (Call) -> String? = { _ in nil },
            _ apply: @escaping @Sendable (_ graph: MPSGraph, _ x: MPSGraphTensor, _ y: MPSGraphTensor) -> MPSGraphTensor
        ) -> Lowering {
            Lowering(name, dtypes, refusal: refusal) { call, builder in
                [apply(builder.graph, try builder.tensor("x", call), try builder.tensor("y", call))]
            }
        }
    }

    /// The Metal engine's column of the op table, by families.
    enum MetalLowerings {
        static let rows: [Lowering] =
            activation + elementwise + reduction + linear + convolution + normalization + sequence + recurrent + shape
            + indexing
            + image
            + random + compression + complex + fourier

        private static let byName = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0) })

        static subscript(_ name: String) -> Lowering? { byName[name] }
    }

    extension Set where Element == DataType {
        /// Numbers and booleans that MPSGraph computes with; it has neither fp64 nor complex128.
        static let graph: Self = graphNumbers.union([.bool])
        static let graphNumbers: Self = graphFloats.union(Self.integers)
        static let graphFloats: Self = [.float16, .float32]
        static let graphAndComplex: Self = graph.union([.complex64])
    }

    extension Lowering {
        /// MPSGraph's tensors have at most this many dimensions.
        static let mostDimensions = 16
        /// And fewer bytes than this.
        static let mostBytes = 1 << 32

        /// Why it does not take a call; nil where it takes it.
        func refuses(_ call: Call) -> String? {
            for (name, type) in call.tensors {
                if let reason = Lowering.refusal(of: type, dtypes, name) { return reason }
            }
            return refusal(call)
        }

        /// Why the graph cannot hold a tensor of a type; nil where it can.
        static func refusal(of type: TensorType, _ dtypes: Set<DataType>, _ name: String) -> String? {
            guard dtypes.contains(type.dtype) else {
                let taken = DataType.allCases.filter(dtypes.contains).map(\.name).joined(separator: ", ")
                return "'\(name)' is \(type.dtype.name); MPSGraph computes this in \(taken)."
            }
            guard type.isFixed else { return "The size of '\(name)' is not known before the run; Metal needs it." }
            guard !type.shape.contains(0) else {
                return "'\(name)' has the shape \(type.shape); MPSGraph has no empty tensors."
            }
            guard type.rank <= mostDimensions else {
                return "'\(name)' has rank \(type.rank); MPSGraph has at most \(mostDimensions) dimensions."
            }
            guard type.byteCount < mostBytes else {
                return "'\(name)', a \(type), is larger than 4 GiB; MPSGraph counts in 32 bits."
            }
            return nil
        }
    }

    extension Call {
        /// The operands that are computed with, and the results, each with its name.
        fileprivate var tensors: [(name: String, type: TensorType)] {
            let operands = operation.arguments.filter { op.parameter($0.name)?.isConstant == false }.flatMap {
                argument in
                // An empty constant is a list, such as the shape of a scalar.
                argument.values.filter { function[$0].constant?.count != 0 }
                    .compactMap { id in function[id].type.tensor.map { (argument.name, $0) } }
            }
            return operands
                + operation.outputs.compactMap { id in function[id].type.tensor.map { (function[id].name, $0) } }
        }
    }
#endif
