import MIL
import ShimControl

// How the stand-in's graph keeps what is called on it: each call becomes lines of a MIL function, which the CPU engine
// compiles. A method of Apple's is then a few lines:
//
//     extension MPSGraph {
//         public func reLU(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
//             emit("relu", ["x": tensor], name)
//         }
//     }
//
// What MIL cannot say is a closure over elements: see `host`.

/// Apple's framework ends the process for a graph that makes no sense; so does the stand-in, and counts it before.
func graphAbort(_ words: String) -> Never {
    ShimControl.count("graph_abort")
    fatalError("MPSGraph: \(words).")
}

/// What may stand as an argument of a recorded line: tensors of the graph, and constants of the language.
protocol GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID]
}

extension MPSGraphTensor: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] { [ValueID(id)] }
}
extension MIL.Tensor: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] {
        [graph.record.constant(self, name: "c\(graph.record.values.count)")]
    }
}
extension Bool: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] { Tensor(self).values(in: graph) }
}
extension Int: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] { Tensor(Int32(self)).values(in: graph) }
}
extension Float: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] { Tensor(self).values(in: graph) }
}
extension String: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] { Tensor(self).values(in: graph) }
}
/// Several tensors are several values; several numbers are one constant.
extension Array: GraphArgument where Element: GraphArgument {
    func values(in graph: MPSGraph) -> [ValueID] {
        switch self {
        case let sizes as [Int]: Tensor(sizes.map { Int32(clamping: $0) }).values(in: graph)
        case let truths as [Bool]: Tensor(truths).values(in: graph)
        case let numbers as [Float]: Tensor(numbers).values(in: graph)
        default: flatMap { $0.values(in: graph) }
        }
    }
}

public class MPSGraph: MPSGraphObject {
    /// The lines so far.
    var record = Function(name: "graph")
    /// Ops that this graph alone has: closures over elements. The language forgets them with the graph.
    private var hosted: [String] = []

    public override init() {}

    deinit { for name in hosted { try? OpTable.unregister(name) } }

    /// Records one operation with one result.
    func emit(_ op: String, _ arguments: KeyValuePairs<String, any GraphArgument>, _ name: String? = nil)
        -> MPSGraphTensor
    {
        let results = emitAll(op, arguments, name)
        guard results.count == 1 else { graphAbort("'\(op)' has \(results.count) results") }
        return results[0]
    }

    /// Records one operation with any number of results.
    func emitAll(_ op: String, _ arguments: KeyValuePairs<String, any GraphArgument>, _ name: String? = nil)
        -> [MPSGraphTensor]
    {
        let bound = arguments.map { Argument($0.key, $0.value.values(in: self)) }
        let label = "v\(record.values.count)"
        do {
            return try record.append(Operation(op, bound, outputs: []), name: label).map { tensor($0, name) }
        } catch { graphAbort("\(error)") }
    }

    /// A computation in Swift over elements in row-major order, for what MIL has no ops. It writes every element of the
    /// outputs; all inputs have the types of the tensors (fp16 stays fp16).
    func host(
        _ op: String, _ inputs: [MPSGraphTensor], types: [TensorType], name: String? = nil,
        _ run: @escaping CustomOp.Run
    ) -> [MPSGraphTensor] {
        let unique = "mpsgraph_\(op)_\(UInt64.random(in: 0 ... .max))"
        let row = Op(
            unique, .custom, "a stand-in's closure", [.list("x", "the inputs")],
            custom: CustomOp(run: run, isPure: true)
        ) { _ in types }
        do { try OpTable.register(row) } catch { graphAbort("\(error)") }
        hosted.append(unique)
        return emitAll(unique, ["x": inputs], name)
    }

    /// The type of a tensor in MIL's terms.
    func type(_ tensor: MPSGraphTensor) -> TensorType {
        guard let type = record[ValueID(tensor.id)].type.tensor else { graphAbort("a value that is no tensor") }
        return type
    }

    private func tensor(_ id: ValueID, _ name: String?) -> MPSGraphTensor {
        guard let type = record[id].type.tensor, let dataType = MPSDataType(type.dtype) else {
            graphAbort("'\(record[id].name)' has the type \(record[id].type)")
        }
        return MPSGraphTensor(
            Int(id.index), shape: type.shape.map(NSNumber.init(value:)), dataType: dataType, name: name ?? "")
    }

    public func placeholder(shape: [NSNumber]?, dataType: MPSDataType, name: String?) -> MPSGraphTensor {
        guard let shape, let dtype = dataType.mil else {
            graphAbort("a placeholder without a shape, or of \(dataType)")
        }
        return tensor(
            record.input("p\(record.values.count)", .tensor(TensorType(dtype, shape.map(\.intValue)))), name)
    }

    public func constant(_ data: Data, shape: [NSNumber], dataType: MPSDataType) -> MPSGraphTensor {
        let sizes = shape.map(\.intValue)
        guard let dtype = dataType.mil else { graphAbort("a constant of \(dataType)") }
        let type = TensorType(dtype, sizes)
        guard sizes.allSatisfy({ $0 > 0 }), data.count == type.byteCount else {
            graphAbort("\(data.count) bytes for a constant of \(type)")
        }
        let storage = Storage(byteCount: type.byteCount)
        data.copyBytes(to: UnsafeMutableRawBufferPointer(start: storage.pointer, count: data.count))
        return constant(Tensor(type, storage: storage))
    }

    public func constant(_ scalar: Double, dataType: MPSDataType) -> MPSGraphTensor {
        constant(scalar, shape: [1], dataType: dataType)
    }

    public func constant(_ scalar: Double, shape: [NSNumber], dataType: MPSDataType) -> MPSGraphTensor {
        guard let dtype = dataType.mil else { graphAbort("a constant of \(dataType)") }
        let sizes = shape.map(\.intValue)
        let count = sizes.reduce(1, *)
        guard count > 0 else { graphAbort("a constant of the shape \(sizes)") }
        return constant(Tensor(Array(repeating: scalar, count: count), dtype: dtype, shape: sizes))
    }

    private func constant(_ value: MIL.Tensor) -> MPSGraphTensor {
        tensor(value.values(in: self)[0], nil)
    }

    // MARK: Two operations as examples for the families

    public func addition(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("add", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func reLU(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        emit("relu", ["x": tensor], name)
    }

    // MARK: What the engine itself asks for

    public func identity(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        emit("identity", ["x": tensor], name)
    }

    public func reshape(_ tensor: MPSGraphTensor, shape: [NSNumber], name: String?) -> MPSGraphTensor {
        emit("reshape", ["x": tensor, "shape": shape.map(\.intValue)], name)
    }

    public func broadcast(_ tensor: MPSGraphTensor, shape: [NSNumber], name: String?) -> MPSGraphTensor {
        let (from, to) = (type(tensor).shape, shape.map(\.intValue))
        guard from.count <= to.count else { graphAbort("\(from) broadcast to \(to)") }
        let padded = Array(repeating: 1, count: to.count - from.count) + from
        for (old, new) in zip(padded, to) where old != new && old != 1 { graphAbort("\(from) broadcast to \(to)") }
        let aligned = emit("reshape", ["x": tensor, "shape": padded])
        return emit("tile", ["x": aligned, "reps": zip(padded, to).map { $0 == $1 ? 1 : $1 }], name)
    }

    public func cast(_ tensor: MPSGraphTensor, to type: MPSDataType, name: String?) -> MPSGraphTensor {
        guard let dtype = type.mil else { graphAbort("a cast to \(type)") }
        return emit("cast", ["x": tensor, "dtype": dtype.name], name)
    }
}

extension MPSDataType {
    private static let pairs: [(MPSDataType, DataType)] = [
        (.bool, .bool), (.int8, .int8), (.uInt8, .uint8), (.int16, .int16), (.uInt16, .uint16), (.int32, .int32),
        (.uInt32, .uint32), (.int64, .int64), (.uInt64, .uint64), (.float16, .float16), (.float32, .float32),
        (.complexFloat32, .complex64),
    ]

    /// The element type in MIL; nil for those that MIL lacks.
    var mil: DataType? { MPSDataType.pairs.first { $0.0 == self }?.1 }

    init?(_ dtype: DataType) {
        guard let pair = MPSDataType.pairs.first(where: { $0.1 == dtype }) else { return nil }
        self = pair.0
    }
}
