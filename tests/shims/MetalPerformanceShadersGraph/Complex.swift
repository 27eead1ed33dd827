import MIL

// Complex numbers of the stand-in: their parts. Sums, products and quotients are in `Arithmetic.swift`.

extension MPSGraph {
    public func realPartOfTensor(tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        emit("real", ["x": complex(tensor)], name)
    }

    public func imaginaryPartOfTensor(tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        emit("imag", ["x": complex(tensor)], name)
    }

    public func complexTensor(realTensor: MPSGraphTensor, imaginaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        let (x, y) = (type(realTensor), type(imaginaryTensor))
        guard x == y else { graphAbort("the parts \(x) and \(y) of complex numbers") }
        return emit("complex", ["x": realTensor, "y": imaginaryTensor], name)
    }

    private func complex(_ tensor: MPSGraphTensor) -> MPSGraphTensor {
        guard type(tensor).dtype.isComplex else { graphAbort("a part of \(type(tensor))") }
        return tensor
    }
}
