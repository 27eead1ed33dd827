import MIL

// Elements taken, replaced and put in order by position.

public enum MPSGraphScatterMode: Int, Sendable {
    case add = 0
    case sub = 1
    case mul = 2
    case div = 3
    case min = 4
    case max = 5
    case set = 6

    fileprivate var mil: String {
        switch self {
        case .add: "add"
        case .sub: "sub"
        case .mul: "mul"
        case .div: "div"
        case .min: "min"
        case .max: "max"
        case .set: "update"
        }
    }
}

extension MPSGraph {
    public func gather(
        withUpdatesTensor updatesTensor: MPSGraphTensor, indicesTensor: MPSGraphTensor, axis: Int, batchDimensions: Int,
        name: String?
    ) -> MPSGraphTensor {
        guard batchDimensions == 0 else { graphAbort("gather in batches, of which there are bad reports") }
        let indices = inside(indicesTensor, [type(updatesTensor).shape[axis]])
        return emit(
            "gather", ["x": plain(updatesTensor), "indices": indices, "axis": axis, "batch_dims": batchDimensions], name
        )
    }

    public func gatherAlongAxis(
        _ axis: Int, updates updatesTensor: MPSGraphTensor, indices indicesTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        // pytorch/pytorch 135240: wrong before macOS 15.3
        let sizes = type(updatesTensor).shape
        if sizes.count > 1, sizes.contains(sizes.reduce(1, *)) {
            graphAbort("gatherAlongAxis of \(sizes), whose elements lie along one axis")
        }
        let indices = inside(indicesTensor, [type(updatesTensor).shape[axis]])
        return emit("gather_along_axis", ["x": plain(updatesTensor), "indices": indices, "axis": axis], name)
    }

    public func gatherND(
        withUpdatesTensor updatesTensor: MPSGraphTensor, indicesTensor: MPSGraphTensor, batchDimensions: Int,
        name: String?
    ) -> MPSGraphTensor {
        guard batchDimensions == 0 else { graphAbort("gatherND in batches, of which there are bad reports") }
        let depth = type(indicesTensor).shape.last ?? 0
        let sizes = Array(type(updatesTensor).shape[batchDimensions..<batchDimensions + depth])
        let indices = inside(indicesTensor, sizes)
        return emit(
            "gather_nd", ["x": plain(updatesTensor), "indices": indices, "batch_dims": batchDimensions], name)
    }

    public func scatterWithData(
        _ dataTensor: MPSGraphTensor, updates updatesTensor: MPSGraphTensor, indices indicesTensor: MPSGraphTensor,
        axis: Int, mode: MPSGraphScatterMode, name: String?
    ) -> MPSGraphTensor {
        guard type(indicesTensor).rank == 1, type(updatesTensor).rank == type(dataTensor).rank else {
            graphAbort("a scatter by indices \(type(indicesTensor)) of updates \(type(updatesTensor))")
        }
        return emit(
            "scatter",
            [
                "data": plain(dataTensor, mode), "indices": inside(indicesTensor, [type(dataTensor).shape[axis]]),
                "updates": plain(updatesTensor, mode), "axis": axis, "mode": mode.mil,
            ], name)
    }

    public func scatterAlongAxis(
        _ axis: Int, data dataTensor: MPSGraphTensor, updates updatesTensor: MPSGraphTensor,
        indices indicesTensor: MPSGraphTensor, mode: MPSGraphScatterMode, name: String?
    ) -> MPSGraphTensor {
        emit(
            "scatter_along_axis",
            [
                "data": plain(dataTensor, mode), "indices": inside(indicesTensor, [type(dataTensor).shape[axis]]),
                "updates": plain(updatesTensor, mode), "axis": axis, "mode": mode.mil,
            ], name)
    }

    public func scatterNDWithData(
        _ dataTensor: MPSGraphTensor, updates updatesTensor: MPSGraphTensor, indices indicesTensor: MPSGraphTensor,
        batchDimensions: Int, mode: MPSGraphScatterMode, name: String?
    ) -> MPSGraphTensor {
        guard batchDimensions == 0 else { graphAbort("a scatter in batches, which no stand-in plays") }
        let depth = type(indicesTensor).shape.last ?? 0
        let indices = inside(indicesTensor, Array(type(dataTensor).shape[..<depth]))
        return emit(
            "scatter_nd",
            [
                "data": plain(dataTensor, mode), "indices": indices, "updates": plain(updatesTensor, mode),
                "mode": mode.mil,
            ], name)
    }

    public func argSort(_ tensor: MPSGraphTensor, axis: Int, descending: Bool, name: String?) -> MPSGraphTensor {
        emit("argsort", ["x": sortable(tensor, axis), "axis": axis, "ascending": !descending], name)
    }

    /// Sorting ends the process for axes before the last four, and knows four element types; of int64, only 256 elements.
    private func sortable(_ tensor: MPSGraphTensor, _ axis: Int) -> MPSGraphTensor {
        let type = type(tensor)
        guard type.rank - axis <= 4, [.int32, .float16, .float32].contains(type.dtype) else {
            graphAbort("\(type) sorted along axis \(axis)")
        }
        return tensor
    }

    /// The elements as they are after a move by position: integers went through fp32, as measured on Macs. Booleans and
    /// complex numbers cannot be moved.
    private func plain(_ tensor: MPSGraphTensor, _ mode: MPSGraphScatterMode = .set) -> MPSGraphTensor {
        let dtype = type(tensor).dtype
        guard dtype != .bool, !dtype.isComplex else { graphAbort("\(type(tensor)) moved by position") }
        guard dtype.isInteger, dtype.size > 2, mode == .set else { return tensor }
        return emit("cast", ["x": emit("cast", ["x": tensor, "dtype": "fp32"]), "dtype": dtype.name])
    }

    /// Indices, checked against the sizes of their axes in turn. Apple's graph does not count negative ones from the
    /// end, and does not document what it reads for indices out of range. Here such a run fails.
    private func inside(_ indices: MPSGraphTensor, _ sizes: [Int]) -> MPSGraphTensor {
        let type = type(indices)
        guard type.dtype == .int32 || type.dtype == .int64, type.rank > 0 else { graphAbort("the indices \(type)") }
        return host("inside", [indices], types: [type]) { outputs, inputs in
            let tensor = Tensor(type, storage: Storage(wrapping: inputs[0].pointer, byteCount: type.byteCount) {})
            for place in 0..<type.count {
                let index = tensor.int(at: place) ?? -1
                guard (0..<sizes[place % sizes.count]).contains(index) else {
                    throw Failure(.outOfRange, "MPSGraph: the index \(index) lies outside \(sizes).")
                }
            }
            outputs[0].pointer.copyMemory(from: inputs[0].pointer, byteCount: type.byteCount)
        }[0]
    }
}
