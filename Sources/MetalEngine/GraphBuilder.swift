#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    /// A graph that grows line by line, and the tensors that stand in it for the values of a function.
    final class GraphBuilder {
        let graph = MPSGraph()
        let function: Function
        private var tensors: [ValueID: MPSGraphTensor] = [:]
        private(set) var placeholders: [MPSGraphTensor] = []
        /// Constants of the graph, which cannot be its targets.
        private var constants: Set<MPSGraphTensor> = []

        init(_ function: Function) { self.function = function }

        // MARK: Values

        /// The operand bound to a parameter.
        func tensor(_ name: String, _ call: Call) throws -> MPSGraphTensor {
            if !call.has(name), let value = call.constant(name) { return try constant(value) }
            return try tensor(call.id(name))
        }

        /// The operands bound to a parameter that takes a list.
        func tensors(_ name: String, _ call: Call) throws -> [MPSGraphTensor] { try call.ids(name).map(tensor) }

        /// The tensor of a value; constants become part of the graph when first asked for.
        func tensor(_ id: ValueID) throws -> MPSGraphTensor {
            if let tensor = tensors[id] { return tensor }
            guard let value = function[id].constant else {
                throw Failure(.bug, "The value '\(function[id].name)' is used before it is computed.")
            }
            let tensor = try constant(value)
            tensors[id] = tensor
            return tensor
        }

        func define(_ id: ValueID, _ tensor: MPSGraphTensor) { tensors[id] = tensor }

        /// A placeholder for a value that comes in.
        func feed(_ id: ValueID) throws {
            let type = try function.tensorType(id)
            let placeholder = graph.placeholder(
                shape: shape(type.shape), dataType: try dataType(type.dtype), name: "p\(placeholders.count)")
            placeholders.append(placeholder)
            tensors[id] = placeholder
        }

        /// The tensor of a value as a target: one of its own, since a placeholder, a constant or another target may not be one.
        func target(_ id: ValueID, besides others: [MPSGraphTensor]) throws -> MPSGraphTensor {
            let tensor = try tensor(id)
            let isOwn = !placeholders.contains(tensor) && !constants.contains(tensor) && !others.contains(tensor)
            return isOwn ? tensor : graph.identity(with: tensor, name: nil)
        }

        // MARK: Constants

        /// A tensor as a constant of the graph.
        func constant(_ value: Tensor) throws -> MPSGraphTensor {
            if let reason = Lowering.refusal(of: value.type, .graphAndComplex, "a constant") {
                throw Failure(.unsupported, reason)
            }
            // The graph keeps a copy of its own, so that this may point to the tensor's bytes.
            let data = Data(
                bytesNoCopy: value.pointer, count: value.type.byteCount,
                deallocator: .custom { [value] _, _ in _ = value })
            let tensor = graph.constant(data, shape: shape(value.shape), dataType: try dataType(value.dtype))
            constants.insert(tensor)
            return tensor
        }

        /// One number as a constant of the shape [1], which broadcasts.
        func constant(_ value: Double, _ dtype: DataType) throws -> MPSGraphTensor {
            let tensor = graph.constant(value, shape: [NSNumber(value: 1)], dataType: try dataType(dtype))
            constants.insert(tensor)
            return tensor
        }

        // MARK: Shapes and types

        /// A shape in MPSGraph's form. A scalar is a vector of one element.
        func shape(_ sizes: [Int]) -> [NSNumber] { (sizes.isEmpty ? [1] : sizes).map(NSNumber.init(value:)) }

        /// Numbers such as axes in MPSGraph's form.
        func numbers(_ values: [Int]) -> [NSNumber] { values.map(NSNumber.init(value:)) }

        /// The sizes of a tensor of the graph; all are known.
        func sizes(_ tensor: MPSGraphTensor) throws -> [Int] {
            guard let shape = tensor.shape else {
                throw Failure(
                    .unsupported, "MPSGraph cannot tell the shape of '\(tensor.operation.name)' before the run.")
            }
            return shape.map(\.intValue)
        }

        func dataType(_ dtype: DataType) throws -> MPSDataType {
            guard let type = MPSDataType(dtype) else {
                throw Failure(.unsupported, "MPSGraph has no elements of \(dtype.name).")
            }
            return type
        }

        /// The same elements under another shape of the same count.
        func reshape(_ tensor: MPSGraphTensor, _ sizes: [Int]) -> MPSGraphTensor {
            graph.reshape(tensor, shape: shape(sizes), name: nil)
        }

        /// A tensor stretched to a shape by NumPy's rule.
        func broadcast(_ tensor: MPSGraphTensor, _ sizes: [Int]) -> MPSGraphTensor {
            graph.broadcast(tensor, shape: shape(sizes), name: nil)
        }

        func cast(_ tensor: MPSGraphTensor, to dtype: DataType) throws -> MPSGraphTensor {
            let type = try dataType(dtype)
            return tensor.dataType == type ? tensor : graph.cast(tensor, to: type, name: nil)
        }

        // MARK: Operations

        /// Adds one operation. What its row makes must be of the types that the language infers, else memory would not fit.
        func append(_ operation: MIL.Operation) throws {
            let call = try Call(operation, in: function)
            guard let lowering = MetalLowerings[call.op.name] else {
                throw Failure(.unsupported, "\(call.place): MPSGraph has no such operation.")
            }
            if let reason = lowering.refuses(call) { throw Failure(.unsupported, "\(call.place): \(reason)") }
            let results = try lowering.lower(call, self)
            guard results.count == operation.outputs.count else {
                throw Failure(.bug, "\(call.place) has \(operation.outputs.count) outputs, not \(results.count).")
            }
            for (id, result) in zip(operation.outputs, results) { try define(id, checked(result, of: id, call)) }
        }

        private func checked(_ result: MPSGraphTensor, of id: ValueID, _ call: Call) throws -> MPSGraphTensor {
            let type = try function.tensorType(id)
            var result = result
            if type.shape.isEmpty, try sizes(result) != [1], try sizes(result).allSatisfy({ $0 == 1 }) {
                result = reshape(result, [])
            }
            guard try shape(sizes(result)) == shape(type.shape), result.dataType == MPSDataType(type.dtype) else {
                throw Failure(
                    .unsupported,
                    "\(call.place): MPSGraph makes \(result.dataType) \(try sizes(result)) of it; it must be a \(type)."
                )
            }
            return result
        }
    }

    extension MPSDataType {
        /// The graph's type of an element type; nil for those it lacks.
        init?(_ dtype: DataType) {
            switch dtype {
            case .bool: self = .bool
            case .int8: self = .int8
            case .uint8: self = .uInt8
            case .int16: self = .int16
            case .uint16: self = .uInt16
            case .int32: self = .int32
            case .uint32: self = .uInt32
            case .int64: self = .int64
            case .uint64: self = .uInt64
            case .float16: self = .float16
            case .float32: self = .float32
            case .complex64: self = .complexFloat32
            case .float64, .complex128, .string: return nil
            }
        }
    }
#endif
